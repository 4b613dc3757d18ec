import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants as fileConstants, statSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { getSystemErrorMap } from "node:util";
import type { RunInputs } from "./inputs.ts";
import { LineSplitter, longestLine } from "./lines.ts";

/** What a command printed, without the last line feed. */
export interface CommandOutput {
  stdout: string;
  stderr: string;
}

/** How to run one command. */
export interface CommandRun extends RunInputs {
  command: string;
  /** What the command printed the last time, for its environment. */
  previous: CommandOutput;
  /** Seconds until its shell is killed; 0 or less is for ever. */
  timeout: number;
  /** Gets each line, without its end, as it comes. */
  log: (line: string) => void;
}

/** Runs commands as the official plugin does, and ends those that run when told to. */
export class CommandRunner {
  private readonly running = new Set<ChildProcess>();

  /**
   * Runs a command to its end.
   *
   * @throws Error with the exit status, the command and all it printed, as the official plugin words it
   */
  async run(run: CommandRun): Promise<CommandOutput> {
    const child = start(run);
    this.running.add(child);
    const deadline = run.timeout > 0 ? setTimeout(() => child.kill("SIGKILL"), run.timeout * 1000) : undefined;
    let isTooLong = false;
    const output = collect(child, run, () => {
      isTooLong = true;
      child.kill("SIGKILL");
    });
    // "close" and not "exit": whatever the command has left running keeps its pipes open, and is waited for.
    const end = await new Promise<string | undefined>((resolve) => {
      child.on("error", (error) => resolve(startProblem(child.spawnfile, error)));
      child.on("close", (code, signal) => resolve(exitProblem(code, signal)));
    });
    clearTimeout(deadline);
    this.running.delete(child);
    if (isTooLong) throw failure(tooLong, run.command, "");
    if (end !== undefined) throw failure(end, run.command, output.all());
    return { stdout: output.text("stdout"), stderr: output.text("stderr") };
  }

  /**
   * Kills the shells of all commands that run, and waits until they are gone. What they have started goes on, and a command
   * has ended only when nothing has its pipes any more.
   */
  async stop(): Promise<void> {
    const gone = [...this.running].map((child) => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return undefined;
      const end = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      return end;
    });
    await Promise.all(gone);
  }
}

const tooLong = `a line of more than ${longestLine} bytes, at which the official plugin waits for ever`;

/** @throws Error for what Node says at once, in the official plugin's words */
function start(run: CommandRun): ChildProcess {
  const [file = "", ...args] = [...(run.interpreter?.length ? run.interpreter : ["/bin/sh", "-c"]), run.command];
  const program = file.includes("/") ? file : onPath(file);
  if (program === undefined) {
    throw failure(`exec: ${JSON.stringify(file)}: executable file not found in $PATH`, run.command, "");
  }
  const folderProblem = run.dir === undefined ? undefined : problemOfFolder(run.dir);
  if (folderProblem !== undefined) throw failure(folderProblem, run.command, "");
  try {
    const child = spawn(program, args, {
      argv0: file,
      cwd: run.dir,
      env: commandEnvironment(run),
      stdio: ["pipe", "pipe", "pipe"],
    });
    // A command need not read what it is given.
    child.stdin.on("error", () => undefined);
    child.stdin.end(run.stdin ?? "");
    return child;
  } catch (error) {
    throw failure(startProblem(program, error as NodeJS.ErrnoException), run.command, "");
  }
}

function collect(child: ChildProcess, run: CommandRun, refuse: () => void) {
  const chunks: { stream: "stdout" | "stderr"; data: Buffer }[] = [];
  const logged = run.logging ?? "stdoutAndStderr";
  for (const stream of ["stdout", "stderr"] as const) {
    const isLogged = logged === "stdoutAndStderr" || logged === stream;
    const lines = isLogged ? new LineSplitter(run.log, refuse) : undefined;
    child[stream]?.on("data", (data: Buffer) => {
      chunks.push({ stream, data });
      lines?.add(data);
    });
    child[stream]?.on("end", () => lines?.end());
  }
  const decode = (wanted: typeof chunks) => Buffer.concat(wanted.map(({ data }) => data)).toString("utf8");
  return {
    all: () => decode(chunks),
    text: (stream: "stdout" | "stderr") => decode(chunks.filter((chunk) => chunk.stream === stream)).replace(/\n$/, ""),
  };
}

function commandEnvironment(run: CommandRun): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, ...run.environment };
  if (run.addPreviousOutputInEnv ?? true) {
    if (run.previous.stdout !== "") environment.PULUMI_COMMAND_STDOUT = run.previous.stdout;
    if (run.previous.stderr !== "") environment.PULUMI_COMMAND_STDERR = run.previous.stderr;
  }
  return environment;
}

/** Where a program is on the plugin's own PATH, whatever the command's environment says. */
function onPath(name: string): string | undefined {
  const places = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name));
  return places.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, fileConstants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Node says "ENOENT" for a missing folder and a missing program alike; Go looks at the folder first. */
function problemOfFolder(dir: string): string | undefined {
  try {
    statSync(dir);
    return undefined;
  } catch (error) {
    return `chdir ${dir}: ${systemWords(error as NodeJS.ErrnoException)}`;
  }
}

const startProblem = (program: string, error: NodeJS.ErrnoException) => `fork/exec ${program}: ${systemWords(error)}`;

/** An error of the system in its own words, which are Go's too. @example "permission denied" */
const systemWords = ({ errno, message }: NodeJS.ErrnoException) => getSystemErrorMap().get(errno ?? 0)?.[1] ?? message;

const signalNames: Partial<Record<NodeJS.Signals, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGQUIT: "quit",
  SIGABRT: "aborted",
  SIGKILL: "killed",
  SIGSEGV: "segmentation fault",
  SIGPIPE: "broken pipe",
  SIGTERM: "terminated",
};

function exitProblem(code: number | null, signal: NodeJS.Signals | null): string | undefined {
  if (signal !== null) return `signal: ${signalNames[signal] ?? `signal ${constants.signals[signal]}`}`;
  return code === 0 ? undefined : `exit status ${code}`;
}

function failure(problem: string, command: string, printed: string): Error {
  return new Error(`${problem}: running ${JSON.stringify(command)}:\n${printed}`);
}
