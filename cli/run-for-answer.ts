import type { CommandLine } from "../daily/foreground.ts";
import { printJson } from "./print.ts";

/**
 * Runs a program that is a verb's work, and ends as it does: in the terminal or, for `--json`, with its output in the answer.
 *
 * @param needsTerminal a document is no terminal: where it is asked for, the answer is the words that start the program
 */
export async function runForAnswer(
  line: CommandLine,
  { json }: { json?: true },
  needsTerminal: boolean,
): Promise<void> {
  const { runCaptured, runInForeground } = await import("../daily/foreground.ts");
  if (!json) {
    process.exitCode = await runInForeground(line);
  } else if (needsTerminal) {
    printJson({ command: line });
  } else {
    const ran = await runCaptured(line);
    printJson(ran);
    process.exitCode = ran.exitCode;
  }
}
