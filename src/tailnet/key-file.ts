import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { UserError } from "../core/errors.ts";

/**
 * An auth key from a file, in place of any API.
 *
 * @param place what the error names: the key in the stack's file
 * @throws UserError when the file is missing, empty, or readable by others than its owner; it never shows the key
 */
export function readKeyFile(file: string, place: string): string {
  const refuse = (rule: string, remedy: string) =>
    new UserError("The tailnet's key cannot be used.", [{ path: place, rule, value: file, remedy }]);
  const opened = open(file);
  if (opened === "missing")
    throw refuse("must be a file that is there", "write an auth key into it, or name another file");
  if (opened === "closed")
    throw refuse("must be readable by the user who runs this", `run: chown ${userName()} ${file}`);
  try {
    // What is looked at is what is read, whatever stands at its path meanwhile.
    const found = fstatSync(opened);
    if (!found.isFile()) throw refuse("must be a file", "name a file with an auth key in it");
    if ((found.mode & 0o077) !== 0) throw refuse("must be readable by its owner alone", `run: chmod 600 ${file}`);
    const key = readFileSync(opened, "utf8").trim();
    if (key === "") throw refuse("must hold a key, but is empty", "write an auth key into it");
    if (/\s/.test(key))
      throw refuse("must hold one key and nothing else (not shown)", "write an auth key into it, alone");
    return key;
  } finally {
    closeSync(opened);
  }
}

/** Never waits: a pipe that no process writes to is opened too, and is then no file. */
function open(file: string): number | "missing" | "closed" {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    if (code === "EACCES" || code === "EPERM") return "closed";
    throw error;
  }
}

const userName = () => process.env.USER ?? String(process.getuid?.() ?? "");
