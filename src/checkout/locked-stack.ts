import { UserError } from "../core/errors.ts";
import { describeHolder, isHeld } from "./lock-holder.ts";
import { readLocks, releaseCommand } from "./stack-lock.ts";

/** Somebody else works on the stack: nothing was begun. */
export class StackLocked extends UserError {}

/**
 * @param root absolute path of the checkout
 * @param holders what is known of those that hold its lock
 */
export async function stackLocked(root: string, stack: string, holders: string[]): Promise<StackLocked> {
  return new StackLocked(`Nothing was changed: something else works on the stack ${stack}.`, [
    {
      path: `stack ${stack}`,
      rule: `is locked by ${holders.join(" and ") || "another update"}`,
      remedy: `wait until that has ended; if it is surely gone: ${await releaseCommand(root, stack)}, then the same command again`,
    },
  ]);
}

/** That a stack is locked, when who took a lock of it may still be at work: undefined when nobody is. */
export async function stackHeld(root: string, stack: string): Promise<StackLocked | undefined> {
  const held = (await readLocks(root, stack)).filter(isHeld);
  return held.length === 0 ? undefined : stackLocked(root, stack, held.map(describeHolder));
}
