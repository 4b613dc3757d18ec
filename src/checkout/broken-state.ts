import { constants, copyFileSync, readFileSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { checkpointFile, isWhole, readCheckpoint, type StateFile, stateFile, stateFolder } from "./checkpoint.ts";
import { describeHolder, isHeld } from "./lock-holder.ts";
import { stackLocked } from "./locked-stack.ts";
import { writeWhole } from "./stack-file.ts";
import { readLocks, type StackLock } from "./stack-lock.ts";
import { requireStateRoom } from "./state-room.ts";

/** A state that no engine can read: a full disk or a power cut left its file cut off. */
export interface BrokenState {
  /** Absolute path. */
  file: string;
  /** The locks of engines that may work on the stack, and write it again: those of another machine may be gone. */
  holders: StackLock[];
  /** The newest copy that is whole, and when that was written; undefined: there is none. */
  copy: StateFile | undefined;
  /** A copy that may be newer and whole, but cannot be read here: it is compressed by zstd, or another user's. */
  unread: StateFile | undefined;
  /** What is wrong, and what to do about it by hand. */
  issue: Issue;
}

/** @returns undefined where the state is whole, or none is there, or it is not known whether it is whole */
export async function brokenState(root: string, stack: string): Promise<BrokenState | undefined> {
  const state = await checkpointFile(root, stack);
  if (state === undefined || (await isWhole(state.file)) !== false) return undefined;
  const locks = await readLocks(root, stack);
  const copies = (await copiesOf(root, stack)).filter(({ file }) => file !== state.file);
  const copy = await newestWhole(copies);
  const unread = await newestUnread(copies, copy);
  const issue = issueOf(stack, state, copy, unread);
  return { file: state.file, holders: locks.filter(isHeld), copy, unread, issue };
}

/**
 * Makes sure that an engine can read the state of a stack, as far as that is known here. Its own error names no file, and it
 * reads the state before it looks for locks: of another engine that may work on the stack, the error is of here, too.
 *
 * @throws UserError when it cannot
 */
export async function requireReadableState(root: string, stack: string): Promise<void> {
  const broken = await brokenState(root, stack);
  if (broken === undefined) return;
  const { issue, copy, unread, holders } = broken;
  if (holders.length > 0) throw await stackLocked(root, stack, holders.map(describeHolder));
  const fix = copy && !unread && `\`project-vm doctor --fix --stack ${stack}\` puts there ${describeCopy(stack, copy)}`;
  const title = `Nothing was changed: the state of the stack ${stack} cannot be read.`;
  throw new UserError(title, [{ ...issue, remedy: fix || issue.remedy }]);
}

/** What a copy is, and what comes of it. */
export function describeCopy(stack: string, { file, modified }: StateFile): string {
  const next = `what was made since then is adopted by the next update: see \`project-vm plan --stack ${stack}\` first`;
  return `its newest whole copy, ${file}, of ${new Date(modified).toISOString()}; ${next}`;
}

/**
 * Puts the newest whole copy of a broken state in its place, and what was there aside.
 *
 * @throws UserError when an engine works on the stack by now, or there is no room, or this user may not
 */
export async function restoreState(root: string, stack: string, log: (line: string) => void): Promise<void> {
  const broken = await brokenState(root, stack);
  if (broken?.copy === undefined || broken.unread) return;
  const { file, copy } = broken;
  if (broken.holders.length > 0) throw new UserError(`an update of the stack ${stack} is going on`);
  await requireStateRoom(root, stack);
  let aside: string | undefined;
  try {
    aside = putAside(file);
    writeWhole(file, readFileSync(copy.file));
  } catch (error) {
    // The broken one is still in its place: each try would leave one more of it.
    if (aside !== undefined) rmSync(aside, { force: true });
    throw notPutBack(file, copy, error as NodeJS.ErrnoException);
  }
  log(`${file} is what ${copy.file} was; what it was before is in ${aside}`);
}

function notPutBack(file: string, copy: StateFile, { code = "", message }: NodeJS.ErrnoException): UserError {
  const again = "the same command again";
  const issue = ["ENOSPC", "EDQUOT"].includes(code)
    ? {
        rule: `must have room beside it for ${copy.file} (${message})`,
        remedy: `free space on the filesystem that it is on (df -h ${shellWord(path.dirname(file))}), then ${again}`,
      }
    : {
        rule: `must be writable, with its folder, by this user (${message})`,
        remedy: `${again}, as the user whose it is`,
      };
  return new UserError("The state could not be put back.", [{ path: file, ...issue }]);
}

/** Copies a file, so that it is there at any moment, to a name beside it that the engine takes for no state. */
function putAside(file: string, count = 1): string {
  const aside = `${file}.unreadable${count === 1 ? "" : `-${count}`}`;
  try {
    copyFileSync(file, aside, constants.COPYFILE_EXCL);
    return aside;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return putAside(file, count + 1);
  }
}

/**
 * What may be a copy of a stack's state: beside it, the `.bak` of before each write and what PULUMI_DIY_BACKEND_RETAIN_CHECKPOINTS
 * keeps; in `backups` and `history`, one of each update. Those after a write that failed are cut off like the state.
 */
async function copiesOf(root: string, stack: string): Promise<StateFile[]> {
  const places = [
    ["stacks", "", `${stack}.json`, /^(\.gz|\.zst)?(\.bak|\.\d+)?$/],
    ["backups", stack, `${stack}.`, /^\d+\.json(\.gz|\.zst)?$/],
    ["history", stack, `${stack}-`, /^\d+\.checkpoint\.json(\.gz|\.zst)?$/],
  ] as const;
  const found = places.map(async ([kind, below, beginning, rest]) => {
    const folder = path.join(stateFolder(root, kind) ?? "", below);
    const names = await readdir(folder).catch(() => []);
    const copies = names.filter((name) => name.startsWith(beginning) && rest.test(name.slice(beginning.length)));
    return Promise.all(copies.map((name) => stateFile(path.join(folder, name))));
  });
  return (await Promise.all(found)).flat().filter((file) => file !== undefined);
}

/**
 * The one that was written last, by what it says itself: the times of files are lost where a folder is copied or restored. Where two say
 * the same, or nothing, as the state of a new stack, by the number in the name, then by the file's time.
 */
async function newestWhole(copies: StateFile[]): Promise<StateFile | undefined> {
  const whole: { copy: StateFile; written: number; number: number }[] = [];
  for (const copy of copies) {
    if (!(await isWhole(copy.file))) continue;
    const written = await writtenAt(copy.file);
    whole.push({ copy: { ...copy, modified: written || copy.modified }, written, number: numberIn(copy.file) });
  }
  whole.sort((a, b) => b.written - a.written || b.number - a.number || b.copy.modified - a.copy.modified);
  return whole[0]?.copy;
}

/** Of what cannot be read here, what may be newer than a whole copy: that is known by its name and its file's time alone. */
async function newestUnread(copies: StateFile[], whole: StateFile | undefined): Promise<StateFile | undefined> {
  const newer = copies
    .map((copy) => ({ copy, age: Math.max(numberIn(copy.file) / 1e6, copy.modified) }))
    .filter(({ age }) => whole === undefined || age > whole.modified)
    .sort((a, b) => b.age - a.age);
  for (const { copy } of newer) if ((await isWhole(copy.file)) === undefined) return copy;
  return undefined;
}

/** The nanosecond that the engine has in a copy's name; 0: it has none. */
const numberIn = (file: string) => Number(/(\d{10,})[^/\d]*$/.exec(file)?.[1] ?? 0);

/** When the engine wrote a state, in milliseconds, as it notes in it; 0: it does not say. */
async function writtenAt(file: string): Promise<number> {
  const { checkpoint } = JSON.parse(await readCheckpoint(file)) as { checkpoint?: Checkpoint };
  return Date.parse(checkpoint?.latest?.manifest?.time ?? "") || 0;
}

interface Checkpoint {
  latest?: { manifest?: { time?: string } } | null;
}

function issueOf(
  stack: string,
  { file, size }: StateFile,
  copy: StateFile | undefined,
  unread: StateFile | undefined,
): Issue {
  const is = size === 0 ? "empty" : `cut off or damaged (${size} bytes)`;
  const rule = `must be a whole state, but is ${is}, as a full disk or a power cut leaves it`;
  const aside = `mv -n ${shellWord(file)} ${shellWord(`${file}.unreadable`)}`;
  const putThere = (from: StateFile) => `${aside} && cp ${shellWord(from.file)} ${shellWord(file)}`;
  const known = copy
    ? putThere(copy)
    : `there is no whole copy of it: ${aside}, then \`project-vm apply --stack ${stack}\`, which begins a new one and adopts what is on the host`;
  if (unread === undefined) return { path: file, rule, remedy: known };
  const test = `a copy that may be the newest cannot be read here: if it is whole (zstd -t ${shellWord(unread.file)})`;
  return { path: file, rule, remedy: `${test}, ${putThere(unread)}; if not, ${known}` };
}
