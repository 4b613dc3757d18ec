import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { usedBackend } from "./backend.ts";
import { isBlank, stackFileName } from "./pulumi-files.ts";
import { localDir } from "./resolve.ts";
import { writeNew, writeWhole } from "./stack-file.ts";
import { stacksIn } from "./stack-names.ts";

/** The passphrase of what is encrypted in a checkout's own backend, and in its stacks' files. */
const passphraseFile = (root: string) => path.join(localDir(root), "passphrase");

/**
 * Makes a checkout's passphrase, if there is none: without its passphrase a stack's secrets are lost. One that is empty, as a full disk or
 * a kill may have left it, is none while nothing is encrypted: the engine would take it, and encrypt for everybody to read. What a state
 * in another backend was begun with is not known.
 */
export function ensurePassphrase(root: string): void {
  const file = passphraseFile(root);
  const isNew = !existsSync(path.join(localDir(root), "state", ".pulumi", "stacks"));
  if (!existsSync(file)) writeNew(file, newPassphrase());
  else {
    const isOfUse = !isEmpty(file) || !isNew || !usedBackend(root).isOwn || saltedFiles(root).some(isSecret);
    if (isOfUse) return;
    fillEmpty(file);
  }
  if (isNew) dropSalts(root);
}

const newPassphrase = () => randomBytes(24).toString("base64url");

const isEmpty = (file: string) => readFileSync(file, "utf8").trim() === "";

const isSecret = ({ hasSecrets }: SaltedFile) => hasSecrets;

/** Of several processes that do it at once, all write the same one: it goes only after the file has it. */
function fillEmpty(file: string): void {
  const next = `${file}.next`;
  writeNew(next, newPassphrase());
  try {
    const text = readFileSync(next, "utf8");
    if (!isEmpty(file)) return;
    chmodSync(file, 0o600);
    writeWhole(file, text);
  } catch (error) {
    // Another process is done with it.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  } finally {
    rmSync(next, { force: true });
  }
}

/** The engine takes PULUMI_CONFIG_PASSPHRASE before the file, also an empty one. What is in another backend may have another. */
export function passphraseVariables(root: string, environment: NodeJS.ProcessEnv): Record<string, string | undefined> {
  const { PULUMI_CONFIG_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE_FILE } = environment;
  const own = { PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile(root) };
  if (!usedBackend(root, environment).isOwn) {
    return (PULUMI_CONFIG_PASSPHRASE ?? PULUMI_CONFIG_PASSPHRASE_FILE) === undefined ? own : {};
  }
  return PULUMI_CONFIG_PASSPHRASE === undefined ? own : { ...own, PULUMI_CONFIG_PASSPHRASE: undefined };
}

/** A stack's file that has a salt, by which the engine knows the passphrase of the values that are encrypted in it. */
interface SaltedFile {
  /** As errors name it. */
  name: string;
  text: string;
  hasSecrets: boolean;
}

const salt = /^encryptionsalt:.*\n?/m;

/** None where the stacks are in another backend: what is encrypted for that is under a passphrase of the user's. */
export function saltedFiles(root: string): SaltedFile[] {
  if (!usedBackend(root).isOwn) return [];
  return stacksIn(root).flatMap((stack) => {
    const name = stackFileName(root, stack);
    const text = readFileSync(path.join(root, name), "utf8");
    return salt.test(text) ? [{ name, text, hasSecrets: /\bsecure["']?\s*:/.test(text) }] : [];
  });
}

/**
 * With another passphrase, the engine refuses a stack whose file has a salt. Where nothing is encrypted, the salt is of no use. A file of
 * the salt alone, as `pulumi stack init` makes it, is left with a config: an empty one is refused.
 */
export function dropSalts(root: string): void {
  for (const { name, text, hasSecrets } of saltedFiles(root)) {
    if (hasSecrets) continue;
    const rest = text.replace(salt, "");
    writeWhole(path.join(root, name), isBlank(rest) ? "config: {}\n" : rest);
  }
}

/** Why the engine does not take a passphrase or a salt, and what to do; `undefined` where it has said anything else. */
export function wrongPassphrase(root: string, stack: string, said: string): UserError | undefined {
  const file = stackFileName(root, stack);
  if (/\bmalformed state value\b/.test(said)) return saltIsCutOff(stack, file);
  if (!/\bincorrect passphrase\b/.test(said)) return undefined;
  const cutOff = cutOffSalt(root, stack);
  if (cutOff) return cutOff;
  const place = usedBackend(root).isOwn
    ? "write that one into .local/passphrase"
    : "export that one as PULUMI_CONFIG_PASSPHRASE, or its file's path as PULUMI_CONFIG_PASSPHRASE_FILE";
  return new UserError(`The stack ${stack} cannot be opened.`, [
    {
      path: `${file}: encryptionsalt`,
      rule: "must be of the passphrase that is used here, but is of another one",
      remedy: `${place}; if it is lost: take encryptionsalt and all values with \`secure:\` out of ${file}, and set those again`,
    },
  ]);
}

/** Eight bytes of salt, then twelve and the word "pulumi" encrypted by it (`passphraseSecretsManager` in Pulumi's pkg/secrets). */
const wholeSalt = /^v1:[\w+/]{11}=:v1:[\w+/]{16}:[\w+/]{30}==$/;

/** That the salt in a stack's file is cut off; `undefined` where it is whole, none, or of a kind that is not known here. */
export function cutOffSalt(root: string, stack: string): UserError | undefined {
  const file = stackFileName(root, stack);
  const place = path.join(root, file);
  const text = existsSync(place) ? readFileSync(place, "utf8") : "";
  const [, value = ""] = /^encryptionsalt:[ \t]*["']?([^\s"'#]*)/m.exec(text) ?? [];
  const isCutOff = value !== "" && ("v1:".startsWith(value) || (value.startsWith("v1:") && !wholeSalt.test(value)));
  return isCutOff ? saltIsCutOff(stack, file) : undefined;
}

function saltIsCutOff(stack: string, file: string): UserError {
  const back = `else put it back, from your own copy or, where git keeps it, by \`git checkout -- ${shellWord(file)}\``;
  return new UserError(`The stack ${stack} cannot be opened.`, [
    {
      path: `${file}: encryptionsalt`,
      rule: "must be whole, but is cut off, as a full disk leaves it",
      remedy: `where ${file} has no values with \`secure:\`, take that line out: the engine notes another one; ${back}`,
    },
  ]);
}
