import { UserError } from "../core/errors.ts";
import { cancelCommand, isHeld, readLocks } from "./stack-lock.ts";

/** Somebody else works on the stack: nothing was begun. */
export class StackLocked extends UserError {}

/** @param holders what is known of those that hold its lock */
export function stackLocked(stack: string, holders: string[]): StackLocked {
  return new StackLocked(`Nothing was changed: something else works on the stack ${stack}.`, [
    {
      path: `stack ${stack}`,
      rule: `is locked by ${holders.join(" and ") || "another update"}`,
      remedy: `wait until that has ended; if it is surely gone: ${cancelCommand(stack)}, then the same command again`,
    },
  ]);
}

/** That a stack is locked, when who took a lock of it may still be at work: undefined when nobody is. */
export async function stackHeld(projectRoot: string, stack: string): Promise<StackLocked | undefined> {
  const held = (await readLocks(projectRoot, stack)).filter(isHeld);
  if (held.length === 0) return undefined;
  return stackLocked(
    stack,
    held.map(({ pid, username }) => `process ${pid} of ${username}`),
  );
}
