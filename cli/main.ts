import { inspect } from "node:util";
import { CommanderError } from "commander";
import { printable } from "../config/printable.ts";
import { changeOwn, corrected } from "../config/program-environment.ts";
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

// Where nobody reads progress any more, what was begun is finished all the same.
process.stderr.on("error", () => undefined);

changeOwn(corrected());
try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  // Commander has said what it has to say, or shown the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : misused;
  const isForTheUser = error instanceof Error && (forTheUser.includes(error.name) || isOfFiles(error));
  console.error(printable(isForTheUser ? error.message : inspect(error)));
  return failed;
}

/** A file or folder that may not be used as it is asked for; the system's words name it. */
function isOfFiles({ code, path }: NodeJS.ErrnoException): boolean {
  return path !== undefined && ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "ENOSPC"].includes(code ?? "");
}
