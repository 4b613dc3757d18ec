import type { CommandLine } from "../src/operations/foreground.ts";
import { printJson } from "./print.ts";

/**
 * Runs a program that is a verb's work: in the terminal or, for `--json`, with its output in the answer.
 *
 * @param needsTerminal a document is no terminal: where it is asked for, the answer is the words that start the program
 * @returns the exit code of the program, which is to be the verb's own
 */
export async function runForAnswer(
  line: CommandLine,
  { json }: { json?: true },
  needsTerminal: boolean,
): Promise<number> {
  const { runCaptured, runInForeground } = await import("../src/operations/foreground.ts");
  if (!json) return runInForeground(line);
  if (needsTerminal) {
    printJson({ command: line });
    return 0;
  }
  const ran = await runCaptured(line);
  printJson(ran);
  return ran.exitCode;
}
