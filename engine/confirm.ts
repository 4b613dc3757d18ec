import { confirm } from "@clack/prompts";
import { UserError } from "../config/errors.ts";
import type { Told } from "./events.ts";

/**
 * Shows what an update would do, and asks whether to do it.
 *
 * @param isAgreed it was agreed to on the command line, so nobody is asked
 * @throws UserError when there is nobody to ask
 */
export async function askToApply(told: Told, isAgreed: boolean): Promise<boolean> {
  console.error(describeChanges(told).join("\n"));
  if (isAgreed) return true;
  requireTerminal();
  const answer = await confirm({ message: "Do it?", initialValue: false, output: process.stderr });
  // Ctrl-C gives neither true nor false.
  if (answer === true) return true;
  console.error("Nothing was changed.");
  return false;
}

/** What an update would do, in lines. */
export function describeChanges({ changes, resources }: Pick<Told, "changes" | "resources">): string[] {
  if (changes.length > 0) return changes;
  return [resources > 0 ? "no VM changes; what belongs to them is put in order" : "nothing changes"];
}

/** @throws UserError when there is nobody to ask */
export function requireTerminal(): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  const rule = "must be given where there is nobody to ask";
  throw new UserError("Nothing was changed.", [{ path: "--yes", rule, remedy: "add it, if you mean it" }]);
}
