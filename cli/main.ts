import { CommanderError } from "commander";
import { buildProgram } from "./program.ts";

/** Exit codes: 0 it is done, 1 it failed, 2 it was not called rightly. */
const failed = 1;
const misused = 2;

/** Errors whose message is for the user; a trace is for those who mend this program. */
const forTheUser = ["UserError", "VirshError", "ShellError", "NotReadyError"];

// Who reads only the beginning, such as `head`, has got what he wanted.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  // Commander has said what it has to say, or shown the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : misused;
  const isForTheUser = error instanceof Error && forTheUser.includes(error.name);
  console.error(isForTheUser ? error.message : error);
  return failed;
}
