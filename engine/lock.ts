import { UserError } from "../config/errors.ts";
import { cancelCommand } from "../local/stack-lock.ts";

/** Somebody else works on the stack: nothing was begun. */
export class StackLocked extends UserError {}

/**
 * What the engine says of a stack that somebody else works on, as a user's matter; undefined when it says something else.
 *
 * @param said what the engine printed
 */
export function lockedStack(said: string, stack: string): StackLocked | undefined {
  if (!said.includes("the stack is currently locked by")) return undefined;
  const holders = [...said.matchAll(/created by (\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, who, pid, since]) => `process ${pid} of ${who}, since ${since}`,
  );
  return new StackLocked(`Nothing was changed: something else works on the stack ${stack}.`, [
    {
      path: `stack ${stack}`,
      rule: `is locked by ${holders.join(" and ") || "another update"}`,
      remedy: `wait until that has ended; if it is surely gone: ${cancelCommand(stack)}, then the same command again`,
    },
  ]);
}
