import { rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { usedBackend } from "./backend.ts";
import { describeHolder, isHeld, type LockHolder } from "./lock-holder.ts";
import { readPulumiProject } from "./pulumi-files.ts";

/** A lock of Pulumi's file backend, and who took it, as that writes it down. */
export interface StackLock extends LockHolder {
  /** Absolute path. */
  file: string;
}

/**
 * A lock, or the file that is renamed to it when it is whole (`createTemp` in gocloud.dev's fileblob): an engine that is killed in
 * between leaves that, and to the next engine it is a lock like any other.
 */
const lockFile = /\.json(\.[0-9a-f]+\.tmp)?$/;

/** How long an engine may take to write the few bytes of a lock, in milliseconds. */
const writingTime = 1000;

/** A stack's locks in the backend that the engine uses; none where that is no folder: its own engine looks after them. */
export async function readLocks(projectRoot: string, stack: string): Promise<StackLock[]> {
  const folder = locksFolder(projectRoot);
  if (folder === undefined) return [];
  const dir = path.join(folder, stack);
  const files = (await readdir(dir).catch(() => [])).filter((file) => lockFile.test(file));
  const locks = await Promise.all(files.map((file) => readLock(path.join(dir, file))));
  return locks.filter((lock) => lock !== undefined);
}

/** The folder of the locks of all stacks; undefined: the backend is no folder. */
function locksFolder(projectRoot: string): string | undefined {
  const { folder } = usedBackend(projectRoot);
  return folder && path.join(folder, ".pulumi", "locks", "organization", readPulumiProject(projectRoot).name);
}

/** @returns undefined for one that was released meanwhile */
async function readLock(file: string, wasUnreadable = false): Promise<StackLock | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (text === undefined) return undefined;
  const holder = holderIn(text);
  if (holder !== undefined) return { ...holder, file };
  if (!wasUnreadable) {
    await setTimeout(writingTime);
    return readLock(file, true);
  }
  // A kill or a power cut leaves it empty or cut off: the process that wrote it is gone.
  return { pid: 0, hostname: hostname(), username: "unknown", file };
}

function holderIn(text: string): LockHolder | undefined {
  try {
    const { pid, hostname: where, username } = JSON.parse(text) as Record<string, unknown>;
    const isHolder = Number.isInteger(pid) && typeof where === "string" && typeof username === "string";
    return isHolder ? { pid: pid as number, hostname: where, username } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Releases a stack's locks when all who took them are dead: an update that was killed, or lost its power, leaves its
 * lock behind. A lock of a living process, or of another machine, stays, and Pulumi says who holds it. `pulumi cancel` would do no more,
 * and does nothing for a stack that was being begun, or removed, when its engine was killed: it finds no such stack.
 *
 * @throws UserError when this user may not
 */
export async function releaseDeadLocks(projectRoot: string, stack: string, log: (line: string) => void): Promise<void> {
  const locks = await readLocks(projectRoot, stack);
  if (locks.length === 0 || locks.some(isHeld)) return;
  log(`releasing the lock of an update that did not finish (process ${locks.map(({ pid }) => pid).join(", ")})`);
  for (const { file } of locks) {
    try {
      for (const one of [file, `${file}.attrs`]) rmSync(one, { force: true });
    } catch (error) {
      throw notReleased(stack, file, error as Error);
    }
  }
}

/**
 * Releases dead locks of stacks that are not there, as {@link releaseDeadLocks} does: an engine that was killed while it began a stack, or
 * removed it, leaves the lock alone, and then `pulumi cancel` finds no such stack, and `pulumi stack init` says that it is locked. One
 * that may be held stays, and what releases it by hand is said.
 *
 * @throws UserError when this user may not
 */
export async function releaseLocksOfNoStack(projectRoot: string, log: (line: string) => void): Promise<void> {
  const folder = locksFolder(projectRoot);
  if (folder === undefined) return;
  for (const stack of await namesIn(folder)) {
    if (await isThere(folder, stack)) continue;
    await releaseDeadLocks(projectRoot, stack, log);
    const held = (await readLocks(projectRoot, stack)).filter(isHeld);
    if (held.length === 0) continue;
    const release = await releaseCommand(projectRoot, stack);
    const holders = held.map(describeHolder).join(" and ");
    log(`the stack ${stack}, which is not there yet, is locked by ${holders}; if that is surely gone: ${release}`);
  }
}

/** Whether there is a state of a stack. @param locks the folder of the locks of all stacks */
async function isThere(locks: string, stack: string): Promise<boolean> {
  const states = await namesIn(path.join(locks, "../../../stacks", path.basename(locks)));
  const forms = ["", ".gz", ".zst"].map((end) => `${stack}.json${end}`);
  return states.some((name) => forms.includes(name));
}

/** None in a folder that is not there. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * What releases a stack's lock by hand, whoever holds it, and where that can be typed. Of a stack that was begun or removed when its
 * engine was killed, `pulumi cancel` says only that there is no such stack.
 */
export async function releaseCommand(projectRoot: string, stack: string): Promise<string> {
  const cancel = `\`pulumi cancel -s ${stack}\` (in a shell of \`eval "$(make -s env)"\`)`;
  const folder = locksFolder(projectRoot);
  if (folder === undefined || (await isThere(folder, stack))) return cancel;
  const locks = await readLocks(projectRoot, stack);
  return locks.length === 0 ? cancel : `\`rm ${locks.map(({ file }) => shellWord(file)).join(" ")}\``;
}

function notReleased(stack: string, file: string, { message }: Error): UserError {
  return new UserError("The lock of an update that did not finish could not be released.", [
    {
      path: file,
      rule: `must be removable by this user: no process holds the stack ${stack} by it (${message})`,
      remedy: `remove it as its owner: rm ${shellWord(file)}`,
    },
  ]);
}
