import { inspect } from "node:util";
import { UsageError, UserError } from "./errors.ts";
import { sayable } from "./records.ts";

/** Exit codes: 0 done, 1 failed, 2 usage error. */
const failed = 1;
const misused = 2;

/**
 * Runs a program of ours, each of them: the one place where an error becomes what is printed and an exit code.
 *
 * @example await runProgram(main);
 */
export async function runProgram(main: () => Promise<void>): Promise<void> {
  process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    // Who reads only the beginning, such as `head`, has got what he wanted.
    if (code === "EPIPE") return process.exit(0);
    report(new UserError(`The answer cannot be written to standard output: ${message}`));
    process.exit();
  });
  // Where nobody reads progress any more, what was begun is finished all the same.
  process.stderr.on("error", () => undefined);
  try {
    await main();
  } catch (error) {
    report(error);
  }
}

function report(error: unknown): void {
  const text = failureText(error);
  if (text !== "") console.error(text);
  process.exitCode = error instanceof UsageError ? misused : failed;
}

/**
 * What is printed of an error that ends a program, or a part of its work: a UserError without a stack trace, every other as the
 * bug that it is. Of a bug only texts and traces: what else hangs on an error may be secret, and this is to be passed on.
 */
export function failureText(error: unknown): string {
  if (isForUser(error)) return sayable(error.message);
  return sayable(`${traceOf(error)}\nThis is a bug in project-vms: please report it with the lines above.`);
}

/**
 * By its class: a process has each module once, from the sources, from dist or from the one bundle that bin/ has loaded, whose files
 * share what several of them need.
 */
const isForUser = (error: unknown): error is Error =>
  error instanceof UserError || (error instanceof Error && isOfFiles(error));

/** A file or folder that may not be used as it is asked for; the system's words name it. */
function isOfFiles({ code, path }: NodeJS.ErrnoException): boolean {
  return path !== undefined && ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "ENOSPC"].includes(code ?? "");
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const trace = error.stack || String(error);
  return error.cause === undefined ? trace : `${trace}\ncaused by: ${traceOf(error.cause)}`;
}
