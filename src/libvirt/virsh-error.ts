import { UserError } from "../core/errors.ts";
import { printableLine, shortened } from "../core/printable.ts";
import { noCache } from "../core/program-environment.ts";
import { virshInShell } from "./virsh-line.ts";

const linesOfReason = 5;

/** The most characters of a command or a reason that are shown; what virsh says can be a guest's words. */
const longestShown = 2000;

/** A virsh command that failed: which one, how, and the last lines of what it said. */
export class VirshError extends UserError {
  override readonly name = "VirshError";
  /** The last lines of its standard error, without the `error: ` that virsh puts before each, as they may be printed. */
  readonly reason: string;

  readonly uri: string;
  /** Empty when a session of several commands failed as a whole. */
  readonly command: string[];
  /** `undefined` when it was ended by us or when only this command of a session failed. */
  readonly exitCode: number | undefined;
  /** Whether virsh had a connection and ran the command, which failed. What it says then may be a guest's words. */
  readonly isAnswer: boolean;

  constructor(uri: string, command: string[], exitCode: number | undefined, reason: string, isAnswer = false) {
    const code = exitCode === undefined ? "" : ` (exit code ${exitCode})`;
    const why = printableLine(shortened(reason, longestShown));
    super(`${printableLine(shortened(virshInShell(uri, ...command), longestShown))} failed${code}: ${why}`);
    this.uri = uri;
    this.command = command;
    this.exitCode = exitCode;
    this.isAnswer = isAnswer;
    this.reason = why;
  }
}

/** The end of what virsh said on standard error, on one line, without the repeated `error: `. */
export function reasonIn(stderr: string): string {
  const lines = stderr
    .split("\n")
    .map((line) => line.replace(/^error: /, "").trim())
    .filter((line) => line !== "" && !line.includes(`'${noCache}/`));
  return lines.slice(-linesOfReason).join("; ");
}
