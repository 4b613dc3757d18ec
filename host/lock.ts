import { mkdir } from "node:fs/promises";
import path from "node:path";
import { lock } from "proper-lockfile";
import { UserError } from "../config/errors.ts";

/** A lock whose holder has died is taken over after this many milliseconds. */
const stale = 15_000;

/**
 * Does something while no other process does it with the same path. The lock is `<path>.lock`, beside it, and goes
 * afterwards.
 *
 * @param limitSeconds how long to wait for another holder
 * @throws UserError when that one still holds it then
 */
export async function withLock<T>(
  target: string,
  limitSeconds: number,
  log: (line: string) => void,
  action: () => Promise<T>,
): Promise<T> {
  await mkdir(path.dirname(target), { recursive: true, mode: 0o711 });
  // Taken over by another process while this one was stopped or suspended: the engine's own lock still keeps them apart.
  const onCompromised = () => log(`another process took over what this one does with ${target}`);
  const options = { onCompromised, realpath: false, stale, update: stale / 3, lockfilePath: `${target}.lock` };
  const release = await lock(target, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ELOCKED") throw error;
    log(`waiting for another process that works on ${target}`);
    return lock(target, { ...options, retries: { retries: limitSeconds * 2, factor: 1, minTimeout: 500 } }).catch(
      (error: NodeJS.ErrnoException) => {
        throw error.code === "ELOCKED" ? stillHeld(options.lockfilePath, limitSeconds) : error;
      },
    );
  });
  try {
    return await action();
  } finally {
    await release().catch(() => undefined); // it may have been taken over
  }
}

function stillHeld(path: string, limitSeconds: number): UserError {
  return new UserError("Another process took too long.", [
    {
      path,
      rule: `must be released within ${limitSeconds} s by the process that holds it`,
      remedy:
        "wait until that one has ended, then the same command again; the lock of one that was killed is taken over",
    },
  ]);
}
