import { spawn } from "node:child_process";
import { constants } from "node:os";
import { UserError } from "../core/errors.ts";
import { programEnvironment } from "../core/program-environment.ts";
import { formatSize } from "../core/sizes.ts";
import type { ExecResult } from "../guest/agent.ts";

/** A program, and the words that it is given. */
export type CommandLine = [program: string, ...words: string[]];

/** Debian's packages of the programs that verbs hand the terminal to. */
const packages: Record<string, string> = {
  ssh: "openssh-client",
  scp: "openssh-client",
  virsh: "libvirt-clients",
};

/**
 * Hands the terminal to a program and waits for its end.
 *
 * @returns its exit code or, where a signal ended it, what a shell would say
 * @throws UserError when it is not installed
 */
export function runInForeground([program, ...words]: CommandLine): Promise<number> {
  const child = spawn(program, words, { env: programEnvironment("terminal"), stdio: "inherit" });
  // Ctrl-C is the program's to make something of; who waits for it hears it too.
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  return new Promise<number>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? notInstalled(program) : error),
    );
    child.once("close", (code, signal) => resolve(exitCodeOf(code, signal)));
  }).finally(() => process.off("SIGINT", ignore));
}

/** How much is kept of what a program writes to each of its two outputs, in characters. */
const longestOutput = 8 * 1024 * 1024;

/**
 * The same, but for its output, which is kept. It reads what this program is given to read.
 *
 * @throws UserError when it is not installed, or writes more than can be kept: it is ended then
 */
export async function runCaptured([program, ...words]: CommandLine): Promise<ExecResult> {
  const { execa } = await import("../core/execa.ts");
  const ran = await execa(program, words, {
    env: programEnvironment("terminal"),
    extendEnv: false,
    stdin: "inherit",
    stripFinalNewline: false,
    reject: false,
    maxBuffer: longestOutput,
  });
  if (ran.code === "ENOENT") throw notInstalled(program);
  if (ran.isMaxBuffer) throw tooMuchOutput(program);
  const { stdout = "", stderr = "" } = ran;
  return { exitCode: exitCodeOf(ran.exitCode, ran.signal), stdout, stderr };
}

const exitCodeOf = (code: number | null | undefined, signal: NodeJS.Signals | null | undefined) =>
  code ?? 128 + constants.signals[signal ?? "SIGTERM"];

function tooMuchOutput(program: string): UserError {
  const rule = `must write at most ${formatSize(longestOutput)} where \`--json\` is to keep it`;
  return new UserError(`${program} was ended.`, [{ path: program, rule, remedy: "leave `--json` out" }]);
}

function notInstalled(program: string): UserError {
  const remedy = `apt-get install ${packages[program] ?? program}`;
  return new UserError(`${program} is not installed.`, [{ path: program, rule: "must be on PATH", remedy }]);
}
