import { confirm, isCancel, text } from "@clack/prompts";
import { UserError } from "../src/core/errors.ts";
import { printable } from "../src/core/printable.ts";

/** What is asked for, and what is said where the answer is no. */
export interface Question {
  /** What would be done, in lines. It is shown in any case. */
  facts: string[];
  question: string;
  /** @example "Nothing was removed." */
  refusal: string;
}

/**
 * Says what would be done, and asks whether to.
 *
 * @param isConfirmed it was confirmed on the command line, so nobody is asked
 * @throws UserError when there is nobody to ask
 */
export async function askToGoOn({ facts, question, refusal }: Question, isConfirmed: boolean): Promise<boolean> {
  console.error(printable(facts.join("\n")));
  if (isConfirmed) return true;
  requireTerminal(refusal);
  const answer = await confirm({ message: question, initialValue: false, output: process.stderr });
  // Ctrl-C gives neither true nor false.
  if (answer === true) return true;
  console.error(refusal);
  return false;
}

/**
 * Has somebody type a project's name before something of it is removed. What goes is shown in any case.
 *
 * @param facts what goes and what is kept, in lines
 * @param isConfirmed it was confirmed on the command line, so nobody is asked
 * @returns whether it may be removed
 * @throws UserError when there is nobody to ask
 */
export async function askForName(project: string, facts: string[], isConfirmed: boolean): Promise<boolean> {
  console.error(printable(facts.join("\n")));
  if (isConfirmed) return true;
  const refusal = "Nothing was removed.";
  requireTerminal(refusal);
  const answer = await text({ message: `Type ${project} to remove it`, output: process.stderr });
  if (!isCancel(answer) && answer.trim() === project) return true;
  console.error(refusal);
  return false;
}

function requireTerminal(refusal: string): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  const rule = "must be given where there is nobody to ask";
  throw new UserError(refusal, [{ path: "--yes", rule, remedy: "add it, if you mean it" }]);
}
