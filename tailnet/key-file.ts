import { readFileSync, statSync } from "node:fs";
import { UserError } from "../config/errors.ts";

/**
 * An auth key from a file, in place of any API.
 *
 * @param place what the error names: the key in the stack's file
 * @throws UserError when the file is missing, empty, or readable by others than its owner; it never shows the key
 */
export function readKeyFile(file: string, place: string): string {
  const refuse = (rule: string, remedy: string) =>
    new UserError("The tailnet's key cannot be used. Nothing was created or changed.", [
      { path: place, rule, value: file, remedy },
    ]);
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) throw refuse("must be a file that is there", "write an auth key into it, or name another file");
  if (!found.isFile()) throw refuse("must be a file", "name a file with an auth key in it");
  if ((found.mode & 0o077) !== 0) throw refuse("must be readable by its owner alone", `run: chmod 600 ${file}`);
  const key = readFileSync(file, "utf8").trim();
  if (key === "") throw refuse("must hold a key, but is empty", "write an auth key into it");
  if (/\s/.test(key))
    throw refuse("must hold one key and nothing else (not shown)", "write an auth key into it, alone");
  return key;
}
