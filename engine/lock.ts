import { type StackLocked, stackLocked } from "../local/locked-stack.ts";
import type { PulumiError } from "./pulumi-process.ts";

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
