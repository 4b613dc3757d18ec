import { type StackLocked, stackHeld, stackLocked } from "./locked-stack.ts";

/**
 * The engine's error for a stack that another process works on, as a UserError; undefined for other errors. With that one it prints
 * nothing to stdout. Once an operation has begun, stdout shows what the engine does, and may show a guest's words.
 *
 * @param root absolute path of the checkout
 */
export async function lockedStack(
  { stdout, stderr }: { stdout: string; stderr: string },
  root: string,
  stack: string,
): Promise<StackLocked | undefined> {
  if (stdout.trim() !== "") return undefined;
  const words = /^error: (?:could not create stack: )?(unexpected end of JSON input|the stack is currently locked by)/m;
  const [, what] = words.exec(stderr) ?? [];
  if (what === undefined) return undefined;
  // A lock that another engine is just writing is a lock to this one, and not JSON yet (`checkForLock` in its backend/diy).
  if (what === "unexpected end of JSON input") return stackHeld(root, stack);
  const holders = [...stderr.matchAll(/created by (\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, who, pid, since]) => `process ${pid} of ${who}, since ${since}`,
  );
  return stackLocked(root, stack, holders);
}
