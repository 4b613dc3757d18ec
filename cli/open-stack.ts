import type { Command } from "commander";
import type { Stack } from "../src/checkout/stack.ts";
import type { ProgressLog } from "../src/core/records.ts";

/** What verbs work on: the stack that was named, and where their progress goes. */
export interface OpenStack {
  stack: Stack;
  /** The settings of the stack's host. */
  host: Stack["host"]["settings"];
  /** Prints a line to standard error, with the time passed. */
  log: ProgressLog;
}

/**
 * Reads the stack that `--stack` names. What it needs is loaded only now: no help waits for it.
 *
 * @param command the verb's own command, as its action is given it
 * @throws UserError when there is no such stack here, or its config has mistakes
 */
export async function openStack(command: Command): Promise<OpenStack> {
  const { log } = await import("./terminal-progress.ts");
  const { loadStack } = await import("../src/checkout/stack.ts");
  const stack = loadStack(command.optsWithGlobals<{ stack: string }>().stack, process.cwd());
  return { stack, host: stack.host.settings, log };
}
