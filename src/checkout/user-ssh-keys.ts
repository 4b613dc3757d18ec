import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type KeyFile, readKeyFile } from "../config/public-key-file.ts";
import { configMistakes, formatPath, InvalidValue, type Issue } from "../core/errors.ts";

/** The only code of the config that reads anything from the machine. */

/**
 * The SSH public keys for the VMs: those of the config, else the user's own and those in `moreFiles` that exist.
 *
 * @param file the stack file that the error names
 * @param moreFiles paths of `.pub` files, e.g. of a key that was made for a user who has none
 * @throws UserError when there is no key at all, for then nobody could log in
 */
export function sshKeysOrOwn(
  configured: string[] | undefined,
  file: string,
  moreFiles: string[] = [],
  home: string = homedir(),
): string[] {
  if (configured) return configured;
  const own = [...userSshKeys(home), ...moreFiles.flatMap((path) => read(path).keys)];
  if (own.length > 0) return [...new Set(own)];
  const missing = {
    path: formatPath(file, ["sshKeys"]),
    rule: `is not set, and there is no public key in ${join(home, ".ssh")}/id_*.pub to take in its place`,
    remedy: "run `ssh-keygen -t ed25519`, or list a public key under `project-vms:sshKeys`",
  };
  throw configMistakes(file, [missing, ...keyFiles(home).flatMap(issuesOf)]);
}

/** The user's own public keys, from `<home>/.ssh/id_*.pub` in the order of their file names; no folder means no keys. */
export function userSshKeys(home: string): string[] {
  return keyFiles(home).flatMap((path) => read(path).keys);
}

/**
 * What of the user's own key files is not taken, a line each. A certificate stands beside its key, and is left out.
 *
 * @example "/home/me/.ssh/id_rsa.pub: has options before the key: write the key without them …"
 */
export function skippedSshKeys(home: string = homedir()): string[] {
  const issues = keyFiles(home)
    .filter((path) => !path.endsWith("-cert.pub"))
    .flatMap(issuesOf);
  return issues.map(({ path, rule, remedy }) => `${path}: no key of it is given to VMs: it ${rule}: ${remedy}`);
}

function keyFiles(home: string): string[] {
  const folder = join(home, ".ssh");
  const names = namesIn(folder).filter((name) => /^id_.*\.pub$/.test(name));
  return names.sort().map((name) => join(folder, name));
}

const issuesOf = (path: string): Issue[] => read(path).refused.map(({ rule, remedy }) => ({ path, rule, remedy }));

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

/** A file that is not there holds nothing. */
function read(path: string): KeyFile {
  try {
    return readKeyFile(readFileSync(path));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { keys: [], refused: [] };
    return { keys: [], refused: [new InvalidValue(`cannot be read (${code})`, "make it a file that you can read")] };
  }
}

function isUnreadable(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return ["ENOENT", "ENOTDIR", "EISDIR", "EACCES", "EPERM"].includes(code);
}
