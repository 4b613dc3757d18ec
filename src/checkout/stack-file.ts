import { randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { readEngineConfig, writtenKey } from "../config/engine-config.ts";
import { asMap, ownNamespace, type PulumiProject, plainProject } from "../config/pulumi-project.ts";
import { formatPath, UserError } from "../core/errors.ts";
import { isCutOff } from "./cut-off.ts";
import { isBlank } from "./pulumi-files.ts";
import { type Value, withoutKey, withValue } from "./yaml-text.ts";

/** What is written in a project's entry. */
export type EntrySettings = Record<string, string | number | boolean>;

/**
 * The text of a stack's file with a new project in it. All else in it stays as it is, to the byte.
 *
 * @param file how errors name it
 * @param project what Pulumi.yaml says; by it a key without namespace is ours
 * @throws UserError where the file is written such that it must be changed by hand
 */
export function withEntry(
  text: string,
  file: string,
  name: string,
  settings: EntrySettings,
  project = plainProject,
): string {
  return checked(text, { file, project }, [name], settings, (path) => withValue(text, path, settings));
}

/** As {@link withEntry}: with settings of a project that is there changed, or added to it. */
export function withSettings(
  text: string,
  file: string,
  name: string,
  settings: EntrySettings,
  project = plainProject,
): string {
  return Object.entries(settings).reduce((changed, [key, value]) => {
    return checked(changed, { file, project }, [name, key], value, (path) => withValue(changed, path, value));
  }, text);
}

/** As {@link withEntry}: without a project's entry, and its lines. */
export function withoutEntry(text: string, file: string, name: string, project = plainProject): string {
  return checked(text, { file, project }, [name], undefined, (path) => withoutKey(text, path));
}

/**
 * The text of a stack's file with what Pulumi noted in it when the stack was begun, the salt of its secrets. Pulumi prints
 * the whole file for that.
 *
 * @param printed what Pulumi made of the text; returned where the text cannot be changed
 */
export function withSalt(text: string, printed: string): string {
  const { encryptionsalt } = (parse(printed) ?? {}) as Fields;
  if (typeof encryptionsalt !== "string") return printed;
  try {
    const changed = withValue(text, ["encryptionsalt"], encryptionsalt);
    return isDeepStrictEqual(parse(changed), parse(printed)) ? changed : printed;
  } catch {
    return printed;
  }
}

/**
 * All projects as Pulumi reads them, also those that come from Pulumi.yaml, an alias, a merge or a text of JSON.
 *
 * @throws UserError where they are a secret, or something else that cannot be read
 */
export function projectsAsRead(text: string, file: string, project: PulumiProject): Fields {
  const given = readEngineConfig(text, project, file).values[`${ownNamespace}:projects`];
  if (typeof given !== "string" || given === "") return asMap(given);
  try {
    return JSON.parse(given) as Fields;
  } catch {
    throw new UserError(`${file} was not read.`, [
      {
        path: formatPath(file, ["projects"]),
        rule: "must be a map, in the clear",
        remedy: "write it as docs/config.md has it",
      },
    ]);
  }
}

/**
 * What comes of a change is read again: it must be what was meant, and nothing else may have become of the rest. Neither as the
 * file is written, nor as Pulumi reads it: a key that is added must hide no other.
 */
function checked(
  text: string,
  { file, project }: { file: string; project: PulumiProject },
  place: string[],
  value: Value | undefined,
  change: (path: string[]) => string,
): string {
  const path = ["config", writtenKey(text, project, "projects", file), ...place];
  const before = projectsAsRead(text, file, project);
  const wanted = changedTree(before, place, value);
  try {
    const changed = change(path);
    const isAsWritten = isDeepStrictEqual(parse(changed), changedTree(parse(text) ?? {}, path, value));
    if (isAsWritten && isDeepStrictEqual(projectsAsRead(changed, file, project), wanted)) return changed;
  } catch {
    // Said below: whatever it was, the place is written in a way that is not understood here.
  }
  throw new UserError(`${file} was not changed.`, [
    {
      path: formatPath(file, ["projects", ...place]),
      rule: "must be written such that it can be changed without touching the rest",
      remedy:
        "change it by hand, then `project-vm apply` (anchors, aliases, merges, projects of Pulumi.yaml and values over several lines are left alone)",
    },
  ]);
}

type Fields = Record<string, unknown>;

function changedTree(tree: Fields, [key, ...rest]: string[], value: Value | undefined): Fields {
  const { [key as string]: old, ...others } = tree;
  if (rest.length > 0) return { ...tree, [key as string]: changedTree((old ?? {}) as Fields, rest, value) };
  return value === undefined ? others : { ...others, [key as string]: value };
}

/**
 * Runs engines, and puts a stack's file back as it was before if one left it empty: to note a salt, an engine empties the file and then
 * writes it, and may be killed in between. Where they failed, so is one of which the beginning alone was written. What else became of
 * the file is its user's, who may change it meanwhile. An error of the engines comes before one of that.
 *
 * @param saidBy what an engine said that failed by this error, where no guest's words can be in it
 */
export async function keepingFile<T>(
  file: string,
  work: () => Promise<T>,
  log: (line: string) => void,
  saidBy: (error: unknown) => string = () => "",
): Promise<T> {
  const before = look(file);
  const [result] = await Promise.allSettled([work()]);
  try {
    const now = look(file);
    const isEmptied = now.inode !== undefined && isEmpty(now) && !isEmpty(before);
    // An engine writes into the file; editors, and what changes it here, put another in its place as a rule.
    const mayBeCutOff = result.status === "rejected" && now.inode === before.inode;
    if (isEmptied) putBack(file, before.bytes, log);
    else if (mayBeCutOff && isCutOff(now.bytes, before.bytes, saidBy(result.reason))) {
      putBack(file, before.bytes, log);
      log(`${file} was cut off, as a write of the engine failed: it is put back as it was before`);
    }
  } catch (error) {
    if (result.status === "fulfilled") throw error;
  }
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/** What is in a file; without an inode where there is none. */
interface Look {
  bytes: Buffer;
  inode?: number;
}

const look = (file: string): Look =>
  existsSync(file) ? { bytes: readFileSync(file), inode: statSync(file).ino } : { bytes: Buffer.of() };

const isEmpty = ({ bytes }: Look) => isBlank(bytes.toString("latin1"));

/** Writes a file that was emptied or cut off. A full disk has no room for a second one, but for what was in this one a moment ago. */
function putBack(file: string, before: Buffer, log: (line: string) => void): void {
  try {
    writeWhole(file, before);
  } catch {
    try {
      // Over what is there: the room of that, once given back, may be gone.
      writeFileSync(file, before, { flag: "r+", flush: true });
      truncateSync(file, before.length);
    } catch (error) {
      leaveEmpty(realpathSync(file), log);
      throw error;
    }
  }
}

/** An empty file is refused by the next update; by half of one it would remove VMs: that is kept beside. */
function leaveEmpty(file: string, log: (line: string) => void): void {
  const found = statSync(file);
  if (found.size === 0) return;
  const aside = `${file}.${randomUUID()}.cut-off`;
  try {
    renameSync(file, aside);
  } catch {
    truncateSync(file);
    return;
  }
  closeSync(openSync(file, "a", found.mode));
  makeAlike(file, found);
  log(`${file} could not be put back, and is empty now; what had room of it is in ${aside}`);
}

/** Writes a file so that at no moment, not even when this is killed, it is there by half. */
export function writeWhole(file: string, text: string | Uint8Array): void {
  const place = realpathSync(file);
  const partial = `${place}.${randomUUID()}.partial`;
  try {
    const found = statSync(place);
    writeFileSync(partial, text, { mode: found.mode, flush: true });
    makeAlike(partial, found);
    renameSync(partial, place);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Gives a new file the mode, which the umask has cut, and the owner of the one that it replaces. */
function makeAlike(file: string, { mode, uid, gid }: Stats): void {
  chmodSync(file, mode);
  // Whose file it was can still write to it after a `sudo project-vm`.
  if (process.getuid?.() === 0) chownSync(file, uid, gid);
}

/**
 * Makes a file that is there whole or not at all; one that another process has made meanwhile stays.
 *
 * @param mode what the umask leaves of it; by default it is its user's alone
 */
export function writeNew(file: string, text: string, mode = 0o600): void {
  const partial = `${file}.${randomUUID()}.partial`;
  try {
    writeFileSync(partial, text, { mode, flush: true });
    linkNew(partial, file);
  } finally {
    rmSync(partial, { force: true });
  }
}

function linkNew(whole: string, file: string): void {
  try {
    linkSync(whole, file);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    // A filesystem without hard links, as exFAT, vboxsf and some of FUSE are.
    if (!["EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK"].includes(code)) throw error;
    if (!existsSync(file)) renameSync(whole, file);
  }
}
