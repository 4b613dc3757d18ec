import { CommanderError } from "commander";
import { UsageError } from "../src/core/errors.ts";
import { changeOwn, corrected } from "../src/core/program-environment.ts";
import { runProgram } from "../src/core/run-program.ts";
import { buildProgram } from "./program.ts";

await runProgram(async () => {
  changeOwn(corrected());
  await buildProgram().parseAsync().catch(endOfParsing);
});

/** Commander has said what it has to say, or shown the help that was asked for. */
function endOfParsing(error: unknown): void {
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode !== 0) throw new UsageError("");
}
