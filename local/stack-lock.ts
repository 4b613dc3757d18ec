import { readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { localDir } from "../host/resolve.ts";

/** Who holds a lock of Pulumi's file backend, as it writes it down. */
interface Lock {
  pid: number;
  hostname: string;
}

/**
 * Releases a stack's locks when all who took them are dead: an update that was killed, or lost its power, leaves its
 * lock behind. A lock of a living process, or of another machine, stays, and Pulumi says who holds it.
 *
 * @returns whether there was such an update: what it did last may not be in the state
 */
export async function releaseDeadLocks(
  projectRoot: string,
  stack: string,
  log: (line: string) => void,
): Promise<boolean> {
  const dir = path.join(localDir(projectRoot), "state", ".pulumi", "locks", "organization", "project-vms", stack);
  // Beside each lock the engine keeps a file of attributes, `….json.attrs`.
  const files = (await readdir(dir).catch(() => [])).filter((file) => file.endsWith(".json"));
  const locks = await Promise.all(
    files.map(async (file) => JSON.parse(await readFile(path.join(dir, file), "utf8")) as Lock),
  );
  if (locks.length === 0 || locks.some(isHeld)) return false;
  log(`releasing the lock of an update that did not finish (process ${locks.map(({ pid }) => pid).join(", ")})`);
  await execa("pulumi", ["cancel", "--yes", "--stack", stack], { cwd: projectRoot });
  return true;
}

function isHeld(lock: Lock): boolean {
  if (lock.hostname !== hostname()) return true;
  try {
    process.kill(lock.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
