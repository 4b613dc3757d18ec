import { mkdirSync } from "node:fs";
import { lock } from "proper-lockfile";
import type { Log } from "../../config/log.ts";
import { clock } from "./build.ts";

/** Between two looks at a lock that somebody else has, and two lines that say so, in milliseconds. */
const lockPoll = 500;
const lockHeartbeat = 30_000;

/**
 * Takes the one lock on the cache, waiting for whoever has it.
 *
 * @param cache the folder that is locked; made if need be
 * @param log hears of the waiting
 * @returns what gives it back
 */
export async function takeLock(cache: string, log: Log): Promise<() => Promise<void>> {
  mkdirSync(cache, { recursive: true });
  const started = performance.now();
  let said = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      // It is renewed while it is held; one that nobody renews belonged to somebody who was killed.
      return await lock(cache, { stale: 15_000, update: 5_000 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
    }
    if (performance.now() - said >= lockHeartbeat) {
      said = performance.now();
      log(`another run is making the toolchain, waiting … ${clock(said - started)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, lockPoll));
  }
}
