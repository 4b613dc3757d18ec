import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { configMistakes, formatPath, InvalidValue } from "./errors.ts";
import { parsePublicKey } from "./ssh-keys.ts";

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
  const own = [...userSshKeys(home), ...moreFiles.flatMap(readKey)];
  if (own.length > 0) return [...new Set(own)];
  const missing = {
    path: formatPath(file, ["sshKeys"]),
    rule: `is not set, and there is no public key in ${join(home, ".ssh")}/id_*.pub to take in its place`,
    remedy: "run `ssh-keygen -t ed25519`, or list a public key under `project-vms:sshKeys`",
  };
  throw configMistakes(file, [missing]);
}

/**
 * The user's own public keys, from `<home>/.ssh/id_*.pub` in the order of their file names.
 *
 * What is no plain public key (a certificate, an empty or a damaged file) is passed over; no folder means no keys.
 */
export function userSshKeys(home: string): string[] {
  const folder = join(home, ".ssh");
  const files = namesIn(folder).filter((name) => /^id_.*\.pub$/.test(name));
  return files.sort().flatMap((name) => readKey(join(folder, name)));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

function readKey(file: string): string[] {
  try {
    return [parsePublicKey(readFileSync(file, "utf8"))];
  } catch (error) {
    if (error instanceof InvalidValue || isUnreadable(error)) return [];
    throw error;
  }
}

function isUnreadable(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return ["ENOENT", "ENOTDIR", "EISDIR", "EACCES", "EPERM"].includes(code);
}
