import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { UserError } from "./errors.ts";
import { LockAttempts, pollTime } from "./lock-attempts.ts";

/**
 * Does something while no other process does it with the same path. The lock is `<path>.lock`, beside it, and goes
 * afterwards.
 *
 * @param limitSeconds how long to wait for another holder; one that may be dead is waited for until that is known
 * @throws UserError when that one still holds it then
 */
export async function withLock<T>(
  target: string,
  limitSeconds: number,
  log: (line: string) => void,
  action: () => Promise<T>,
): Promise<T> {
  await mkdir(path.dirname(target), { recursive: true, mode: 0o711 });
  // Taken over by another process while this one was stopped: the engine's own lock still keeps them apart.
  const onCompromised = () => log(`another process took over what this one does with ${target}`);
  const attempts = new LockAttempts(target, onCompromised);
  let release = await attempts.next();
  if (!release) log(`waiting for another process that works on ${target}`);
  const end = performance.now() + limitSeconds * 1000;
  while (!release) {
    if (performance.now() >= end && attempts.hasMoved) throw stillHeld(`${target}.lock`, limitSeconds);
    await setTimeout(pollTime);
    release = await attempts.next();
  }
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
