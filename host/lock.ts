import { mkdir } from "node:fs/promises";
import path from "node:path";
import { lock } from "proper-lockfile";

/** A lock whose holder has died is taken over after this many milliseconds. */
const stale = 15_000;

/**
 * Does something while no other process does it with the same path. The lock is `<path>.lock`, beside it, and goes
 * afterwards.
 *
 * @param limitSeconds how long to wait for another holder
 */
export async function withLock<T>(
  target: string,
  limitSeconds: number,
  log: (line: string) => void,
  action: () => Promise<T>,
): Promise<T> {
  await mkdir(path.dirname(target), { recursive: true, mode: 0o711 });
  const options = { realpath: false, stale, update: stale / 3, lockfilePath: `${target}.lock` };
  const release = await lock(target, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ELOCKED") throw error;
    log(`waiting for another process that works on ${target}`);
    return lock(target, { ...options, retries: { retries: limitSeconds * 2, factor: 1, minTimeout: 500 } });
  });
  try {
    return await action();
  } finally {
    await release();
  }
}
