import { confirm } from "@clack/prompts";
import { UserError } from "../config/errors.ts";

/**
 * Says what would be done, and asks whether to. What would be done is shown in any case.
 *
 * @param isAgreed it was agreed to on the command line, so nobody is asked
 * @throws UserError when there is nobody to ask
 */
export async function askToGoOn(facts: string[], isAgreed: boolean): Promise<boolean> {
  console.error(facts.join("\n"));
  if (isAgreed) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    const rule = "must be given where there is nobody to ask";
    throw new UserError("Nothing was removed.", [{ path: "--yes", rule, remedy: "add it, if you mean it" }]);
  }
  const answer = await confirm({ message: "Go on?", initialValue: false, output: process.stderr });
  // Ctrl-C gives neither true nor false.
  if (answer === true) return true;
  console.error("Nothing was removed.");
  return false;
}
