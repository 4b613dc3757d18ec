import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { formatPath, UserError } from "../config/errors.ts";
import { type Value, withoutKey, withValue } from "./yaml-text.ts";

/** What is written in a project's entry. */
export type EntrySettings = Record<string, string | number | boolean>;

const projects = ["config", "project-vms:projects"];

/**
 * The text of a stack's file with a new project in it. All else in it stays as it is, to the byte.
 *
 * @param file how errors name it
 * @throws UserError where the file is written such that it must be changed by hand
 */
export function withEntry(text: string, file: string, name: string, settings: EntrySettings): string {
  return checked(text, file, [name], settings, (path) => withValue(text, path, settings));
}

/** As {@link withEntry}: with settings of a project that is there changed, or added to it. */
export function withSettings(text: string, file: string, name: string, settings: EntrySettings): string {
  return Object.entries(settings).reduce((changed, [key, value]) => {
    return checked(changed, file, [name, key], value, (path) => withValue(changed, path, value));
  }, text);
}

/** As {@link withEntry}: without a project's entry, and its lines. */
export function withoutEntry(text: string, file: string, name: string): string {
  return checked(text, file, [name], undefined, (path) => withoutKey(text, path));
}

/**
 * The text of a stack's file with what Pulumi noted in it when the stack was begun, the salt of its secrets. Pulumi prints
 * the whole file anew for that.
 *
 * @param printed what Pulumi made of the text; returned where the text cannot be changed
 */
export function withSalt(text: string, printed: string): string {
  const { encryptionsalt } = (parse(printed) ?? {}) as Tree;
  if (typeof encryptionsalt !== "string") return printed;
  try {
    const changed = withValue(text, ["encryptionsalt"], encryptionsalt);
    return isDeepStrictEqual(parse(changed), parse(printed)) ? changed : printed;
  } catch {
    return printed;
  }
}

/** What comes of a change is read again: it must be what was meant, and nothing else may have become of the rest. */
function checked(
  text: string,
  file: string,
  place: string[],
  value: Value | undefined,
  change: (path: string[]) => string,
): string {
  const path = [...projects, ...place];
  const wanted = changedTree(parse(text) ?? {}, path, value);
  try {
    const changed = change(path);
    if (isDeepStrictEqual(parse(changed), wanted)) return changed;
  } catch {
    // Said below: whatever it was, the place is written in a way that is not understood here.
  }
  throw new UserError(`${file} was not changed.`, [
    {
      path: formatPath(file, ["projects", ...place]),
      rule: "must be written such that it can be changed without touching the rest",
      remedy:
        "change it by hand, then `project-vm apply` (anchors, aliases and values over several lines are left alone)",
    },
  ]);
}

type Tree = Record<string, unknown>;

function changedTree(tree: Tree, [key, ...rest]: string[], value: Value | undefined): Tree {
  const { [key as string]: old, ...others } = tree;
  if (rest.length > 0) return { ...tree, [key as string]: changedTree((old ?? {}) as Tree, rest, value) };
  return value === undefined ? others : { ...others, [key as string]: value };
}

/** Writes a file so that at no moment, not even when this is killed, it is there by half. */
export function writeWhole(file: string, text: string): void {
  const place = realpathSync(file);
  const partial = `${place}.${randomUUID()}.partial`;
  try {
    const { mode, uid, gid } = statSync(place);
    writeFileSync(partial, text, { mode, flush: true });
    chmodSync(partial, mode); // which the umask has cut
    // Whose file it was can still write to it after a `sudo project-vm`.
    if (process.getuid?.() === 0) chownSync(partial, uid, gid);
    renameSync(partial, place);
  } finally {
    rmSync(partial, { force: true });
  }
}
