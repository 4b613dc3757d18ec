import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants as fileConstants, statSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import type { RunInputs } from "./inputs.ts";
import { LineSplitter } from "./lines.ts";

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
  /** Seconds until it is ended; 0 or less is for ever. */
  timeout: number;
  /** Gets each line, without its end, as it comes. */
  log: (line: string) => void;
}

/** Between the polite and the other signal, in milliseconds; the engine itself waits 5000. */
const terminationGrace = 3000;

/** Runs commands, each in a process group of its own, and ends those that run when told to. */
export class CommandRunner {
  private readonly running = new Map<ChildProcess, (why: string) => void>();

  /**
   * Runs a command to its end.
   *
   * @throws Error with the exit status, the command and all it printed, as the official plugin words it
   */
  async run(run: CommandRun): Promise<CommandOutput> {
    const [file = "", ...args] = [...(run.interpreter?.length ? run.interpreter : ["/bin/sh", "-c"]), run.command];
    const environment = commandEnvironment(run);
    const startProblem = problemToStart(file, run.dir, environment.PATH);
    if (startProblem !== undefined) throw failure(startProblem, run.command, "");
    const child = spawn(file, args, {
      cwd: run.dir,
      env: environment,
      detached: true, // a process group of its own, so that all that it starts can be ended with it
      stdio: ["pipe", "pipe", "pipe"],
    });
    // A command need not read what it is given.
    child.stdin.on("error", () => undefined);
    child.stdin.end(run.stdin ?? "");
    const output = collect(child, run);
    const ending = this.watch(child, run.timeout);
    const end = await new Promise<string | undefined>((resolve) => {
      child.on("error", (error) => resolve(`fork/exec ${file}: ${error.message}`));
      // "close" and not "exit": what the command has left running may still print.
      child.on("close", (code, signal) => resolve(exitProblem(code, signal)));
    });
    const why = ending();
    if (why !== undefined || end !== undefined) throw failure(why ?? end ?? "", run.command, output.all());
    return { stdout: output.text("stdout"), stderr: output.text("stderr") };
  }

  /** Ends all commands that run, and waits until they are gone. */
  async stop(): Promise<void> {
    const children = [...this.running];
    await Promise.all(
      children.map(([child, end]) => {
        const gone = new Promise((resolve) => child.once("close", resolve));
        end("context canceled");
        return gone;
      }),
    );
  }

  /** Makes a command endable, by time or by `stop`; the function that it gives tells why it was ended, if it was. */
  private watch(child: ChildProcess, timeout: number): () => string | undefined {
    let why: string | undefined;
    let kill: NodeJS.Timeout | undefined;
    const end = (reason: string) => {
      why ??= reason;
      signalGroup(child, "SIGTERM");
      kill ??= setTimeout(() => signalGroup(child, "SIGKILL"), terminationGrace);
    };
    const deadline = timeout > 0 ? setTimeout(() => end("context deadline exceeded"), timeout * 1000) : undefined;
    this.running.set(child, end);
    return () => {
      clearTimeout(deadline);
      clearTimeout(kill);
      this.running.delete(child);
      return why;
    };
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Gone already.
  }
}

function collect(child: ChildProcess, run: CommandRun) {
  const chunks: { stream: "stdout" | "stderr"; data: Buffer }[] = [];
  const logged = run.logging ?? "stdoutAndStderr";
  for (const stream of ["stdout", "stderr"] as const) {
    const isLogged = logged === "stdoutAndStderr" || logged === stream;
    const lines = new LineSplitter(isLogged ? run.log : () => undefined);
    child[stream]?.on("data", (data: Buffer) => {
      chunks.push({ stream, data });
      lines.add(data);
    });
    child[stream]?.on("end", () => lines.end());
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

/** What keeps a command from being started: Node says "ENOENT" for a missing folder and a missing program alike. */
function problemToStart(file: string, dir: string | undefined, path: string | undefined): string | undefined {
  if (dir !== undefined) {
    const folder = statSync(dir, { throwIfNoEntry: false });
    if (folder === undefined) return `chdir ${dir}: no such file or directory`;
    if (!folder.isDirectory()) return `chdir ${dir}: not a directory`;
  }
  if (file.includes("/")) {
    const found = statSync(file, { throwIfNoEntry: false });
    return found === undefined ? `fork/exec ${file}: no such file or directory` : undefined;
  }
  const places = (path ?? "").split(delimiter).map((folder) => join(folder, file));
  return places.some(isExecutable) ? undefined : `exec: ${JSON.stringify(file)}: executable file not found in $PATH`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, fileConstants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

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
