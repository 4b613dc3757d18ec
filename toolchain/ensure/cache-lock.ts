import { mkdirSync, realpathSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { LockAttempts, pollTime } from "../../src/core/lock-attempts.ts";
import type { Log } from "../../src/core/log.ts";
import { clock } from "./build.ts";

/** Between two lines that say that somebody else has the lock, in milliseconds. */
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
  const attempts = new LockAttempts(realpathSync(cache));
  for (;;) {
    const release = await attempts.next();
    if (release) return release;
    if (performance.now() - said >= lockHeartbeat) {
      said = performance.now();
      log(`another run is making the toolchain, waiting … ${clock(said - started)}`);
    }
    await setTimeout(pollTime);
  }
}
