import path from "node:path";
import { localDir } from "../checkout/resolve.ts";
import { withLock } from "../core/lock.ts";

/** How long a change waits for another one on the same stack, in seconds: that one may be at a first boot. */
const longestWait = 3600;

/**
 * Works on a stack, or on what its config claims, while no other `project-vm` of this checkout does.
 *
 * @throws UserError when another one is at it for more than an hour
 */
export function inTurn<T>(
  { root, name }: { root: string; name: string },
  log: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  return withLock(path.join(localDir(root), `change-${name}`), longestWait, log, work);
}
