import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { join } from "node:path";
import { runtimeOptions } from "./options.ts";

/** One run of a Pulumi program. */
export interface ProgramRun {
  programDirectory: string;
  rootDirectory: string;
  /** A file below the program's folder, or "." for the one that package.json names. */
  entryPoint: string;
  options: Record<string, unknown>;
  monitorAddress: string;
  engineAddress: string;
  organization: string;
  project: string;
  stack: string;
  dryRun: boolean;
  parallel: number;
  args: string[];
  /** Values by key, `project:key`. */
  config: Map<string, string>;
  secretKeys: string[];
}

/** How a program ended. `bail`: it failed and has told the user why already. */
export interface ProgramEnd {
  error: string;
  bail: boolean;
}

/** The exit status by which the SDK says that the user has been told. */
const exitedAfterTellingTheUser = 32;

/** How long a program may take to end after an interrupt, in milliseconds. */
const interruptGrace = 5000;

/** Runs programs, and ends those that run when told to. */
export class ProgramRunner {
  private readonly running = new Set<ChildProcess>();

  /** Runs a program to its end. */
  async run(run: ProgramRun): Promise<ProgramEnd> {
    let child: ChildProcess;
    try {
      child = spawn(process.execPath, programArguments(run), {
        cwd: process.cwd(),
        env: programEnvironment(run),
        // The engine reads this process's output; the program writes to the same places, with nothing in between.
        stdio: ["ignore", "inherit", "inherit"],
      });
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error), bail: false };
    }
    this.running.add(child);
    return new Promise((resolve) => {
      const end = (result: ProgramEnd) => {
        this.running.delete(child);
        resolve(result);
      };
      child.on("error", (error) =>
        end({ error: `Problem executing program (could not run language executor): ${error.message}`, bail: false }),
      );
      child.on("exit", (code, signal) => end(programEnd(code, signal)));
    });
  }

  /** Interrupts all running programs, and kills those that are still there after a while. */
  async stop(): Promise<void> {
    await Promise.all([...this.running].map((child) => interrupt(child)));
  }
}

function interrupt(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const kill = setTimeout(() => child.kill("SIGKILL"), interruptGrace);
    child.once("exit", () => {
      clearTimeout(kill);
      resolve();
    });
    child.kill("SIGINT");
  });
}

/** What the engine is told of a program's exit, in the official host's words. */
export function programEnd(code: number | null, signal: NodeJS.Signals | null): ProgramEnd {
  if (code === 0) return { error: "", bail: false };
  if (code === exitedAfterTellingTheUser) return { error: "", bail: true };
  const shown = signal ? `${-1} (${signal}, signal ${constants.signals[signal]})` : code;
  return { error: `Program exited with non-zero exit code: ${shown}`, bail: false };
}

/** The arguments for node: its own, the SDK's `cmd/run` as the program has it installed, the run's, the entry point. */
export function programArguments(run: ProgramRun): string[] {
  const flags: [string, string][] = [
    ["monitor", run.monitorAddress],
    ["engine", run.engineAddress],
    ["organization", run.organization],
    ["project", run.project],
    ["root-directory", run.rootDirectory],
    ["stack", run.stack],
    ["pwd", run.programDirectory],
  ];
  return [
    ...runtimeOptions(run.options).nodeargs,
    locateRun(run.programDirectory),
    ...flags.filter(([, value]) => value !== "").flatMap(([name, value]) => [`--${name}`, value]),
    ...(run.dryRun ? ["--dry-run"] : []),
    "--parallel",
    String(run.parallel),
    run.entryPoint,
    ...run.args,
  ];
}

function locateRun(programDirectory: string): string {
  try {
    return createRequire(join(programDirectory, "package.json")).resolve("@pulumi/pulumi/cmd/run");
  } catch {
    throw new Error("It looks like the Pulumi SDK has not been installed. Have you run pulumi install?");
  }
}

/** The program's environment: this one's, and the configuration as the SDK reads it. */
export function programEnvironment(run: ProgramRun): NodeJS.ProcessEnv {
  const { typescript, tsconfig } = runtimeOptions(run.options);
  const config = [...run.config].map(([key, value]) => [oldStyleKey(key), value]);
  return {
    ...process.env,
    PULUMI_CONFIG: JSON.stringify(Object.fromEntries(config)),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(run.secretKeys),
    ...(typescript ? { PULUMI_NODEJS_TYPESCRIPT: "true" } : {}),
    ...(tsconfig ? { PULUMI_NODEJS_TSCONFIG_PATH: tsconfig } : {}),
  };
}

/** The SDK still takes `project:config:key`, and the official host still gives it. */
function oldStyleKey(key: string): string {
  const [namespace = "", ...name] = key.split(":");
  if (name[0] === "config") name.shift();
  return `${namespace}:config:${name.join(":")}`;
}
