import { isCancel, text } from "@clack/prompts";
import { UserError } from "../config/errors.ts";

/**
 * Has somebody type a project's name before something of it is removed for good. What goes is shown in any case.
 *
 * @param isAgreed it was agreed to on the command line, so nobody is asked
 * @returns whether it may be removed
 * @throws UserError when there is nobody to ask
 */
export async function askForName(project: string, facts: string[], isAgreed: boolean): Promise<boolean> {
  console.error(["This removes, for good:", ...facts.map((fact) => `  ${fact}`)].join("\n"));
  if (isAgreed) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    const issue = {
      path: "--yes",
      rule: "must be given where there is nobody to ask",
      remedy: "add it, if you mean it",
    };
    throw new UserError("Nothing was removed.", [issue]);
  }
  const answer = await text({ message: `Type ${project} to remove it`, output: process.stderr });
  if (!isCancel(answer) && answer.trim() === project) return true;
  console.error("Nothing was removed.");
  return false;
}
