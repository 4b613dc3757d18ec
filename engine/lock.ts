import { UserError } from "../config/errors.ts";
import { cancelCommand } from "../local/stack-lock.ts";
import type { PulumiError } from "./pulumi-process.ts";

/** Somebody else works on the stack: nothing was begun. */
export class StackLocked extends UserError {}

/**
 * The engine's error for a stack that another process works on, as a UserError; undefined for other errors. With that one it prints
 * nothing to stdout. Once an operation has begun, stdout shows what the engine does, and may show a guest's words.
 */
export function lockedStack(
  { stdout, stderr }: Pick<PulumiError, "stdout" | "stderr">,
  stack: string,
): StackLocked | undefined {
  if (stdout.trim() !== "" || !/^error: the stack is currently locked by/m.test(stderr)) return undefined;
  const holders = [...stderr.matchAll(/created by (\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, who, pid, since]) => `process ${pid} of ${who}, since ${since}`,
  );
  return stackLocked(stack, holders);
}

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
