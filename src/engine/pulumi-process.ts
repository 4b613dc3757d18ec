import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { execa } from "../core/execa.ts";

/** What the Automation API wants to know of a `pulumi` that has ended. */
interface Ended {
  stdout: string;
  stderr: string;
  code: number;
}

/** A `pulumi` that did not succeed, with all that it printed: the engine makes a UserError of it, which shows what matters. */
export class PulumiError extends Error {
  override readonly name = "PulumiError";

  readonly stdout: string;
  readonly stderr: string;
  /** What ended it, where it did not end by itself. */
  readonly signal: string | undefined;

  constructor(args: readonly string[], stdout: string, stderr: string, signal?: string) {
    super(`pulumi ${args.join(" ")} did not succeed:\n${[stderr, stdout].filter(Boolean).join("\n")}`);
    this.stdout = stdout;
    this.stderr = stderr;
    this.signal = signal;
  }
}

/**
 * In a session of its own: Ctrl-C in a terminal reaches all of the foreground group, and pulumi takes the second interrupt
 * that it hears, which would be ours, for the order to drop everything.
 */
const start = (args: string[], cwd: string, env: Record<string, string>) =>
  execa("pulumi", args, { cwd, env, detached: true, cleanup: false, stdin: "ignore", reject: false });

/** Runs `pulumi` for the Automation API, so that only we say when it is interrupted. One at a time. */
export class PulumiProcess {
  private running: ReturnType<typeof start> | undefined;

  /**
   * The `pulumi` on PATH as the Automation API wants it.
   *
   * @throws Error when there is none, or one that is too old
   */
  async command(): Promise<PulumiCommand> {
    const run = (args: string[], cwd: string, env: Record<string, string>) => this.run(args, cwd, env);
    return Object.assign(await PulumiCommand.get(), { run });
  }

  /**
   * The engine's state of a stack, as JSON. The Automation API would have its secrets decrypted.
   *
   * @throws PulumiError when it cannot be read
   */
  exported(root: string, stack: string): Promise<Ended> {
    return this.run(["stack", "export", "--stack", stack], root, {});
  }

  /**
   * A stack's outputs, as JSON: one process, where the Automation API starts two.
   *
   * @throws PulumiError when they cannot be read
   */
  outputs(root: string, stack: string, showSecrets: boolean): Promise<Ended> {
    const args = ["stack", "output", "--json", "--stack", stack, ...(showSecrets ? ["--show-secrets"] : [])];
    return this.run(args, root, {});
  }

  /** Whether there is one that could be interrupted. */
  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Asks it to end in order: what it has begun is finished, the state written, the lock released. */
  interrupt(): void {
    this.running?.kill("SIGINT");
  }

  /** Ends it at once, with all that is in its session; its plugins are left to the reaper. */
  kill(): void {
    if (this.running?.pid !== undefined) process.kill(-this.running.pid, "SIGKILL");
  }

  private async run(args: string[], cwd: string, env: Record<string, string>): Promise<Ended> {
    const running = start([...args, "--non-interactive"], cwd, env);
    this.running = running;
    try {
      const { exitCode, stdout, stderr, signal } = await running;
      if (exitCode !== 0) throw new PulumiError(args, stdout, stderr, signal);
      return { stdout, stderr, code: 0 };
    } finally {
      this.running = undefined;
    }
  }
}
