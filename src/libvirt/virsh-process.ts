import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { UserError } from "../core/errors.ts";
import { programEnvironment } from "../core/program-environment.ts";
import { reasonIn, VirshError } from "./virsh-error.ts";

/** Longest wait for a connection, in seconds; a host that is down shall not hold anybody up. */
export const connectSeconds = 10;

/** Seconds for a virsh that has nothing left to do to end by itself. */
const endSeconds = 2;

/** The most that is kept of an output that nobody has read yet: a host of a thousand VMs tells less at once. */
const mostCharacters = 64 * 1024 * 1024;

/** Those that run: none may outlive this process. */
const running = new Set<VirshProcess>();
process.once("exit", () => {
  for (const virsh of running) virsh.kill();
});

type Output = "stdout" | "stderr";

/** A running virsh whose two outputs are read from mark to mark. */
export class VirshProcess {
  private readonly uri: string;
  private readonly isScript: boolean;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly timers: NodeJS.Timeout[] = [];
  /** What has come and was not read yet, as it came: joined each time, a long output would take minutes. */
  private readonly pieces: Record<Output, string[]> = { stdout: [], stderr: [] };
  private asked: string[][] = [];
  private isConnected = false;
  private failure: Error | undefined;
  private wake: () => void = () => {};

  /**
   * @param args after those for the connection: one with commands, or none, and it reads them from its input
   * @param timeoutSeconds the limit as the caller gave it, for the error
   * @param secondsLeft of it
   */
  constructor(uri: string, args: string[], timeoutSeconds: number, secondsLeft: number) {
    this.uri = uri;
    this.isScript = args.length > 0;
    this.child = spawn("virsh", ["-q", "-c", withoutQuestions(uri), ...args], {
      // With an ssh it has a group of its own, so that an ssh that hangs in its connection goes with it. Else ^C ends
      // it with the caller.
      detached: !this.isScript,
      env: programEnvironment("virsh"),
    });
    running.add(this);
    this.child.stdin.on("error", () => {}); // it ended early; "close" tells why
    for (const name of ["stdout", "stderr"] as const) {
      this.child[name].setEncoding("utf8").on("data", (text: string) => this.read(name, text));
    }
    this.child.on("error", (error) => {
      running.delete(this);
      this.fail(spawnError(error));
    });
    this.child.on("close", (code) => {
      running.delete(this);
      // A log-in that is turned away can take virsh along before it has said so.
      const wasCutOff = code === null && !this.isConnected;
      const silent = wasCutOff ? "no log-in: virsh ended before it had one" : "ended early";
      this.fail(this.error(reasonIn(this.textOf("stderr")) || silent, code ?? undefined));
    });
    const toConnect = Math.min(connectSeconds, secondsLeft);
    this.limit(toConnect, () => !this.isConnected, `no connection within ${Math.ceil(toConnect)} s`);
    this.limit(secondsLeft, () => true, `no answer within ${timeoutSeconds} s`);
  }

  /** Feeds its input. The commands are for the error if they come to nothing. */
  write(input: string, commands: string[][]): void {
    this.asked = commands;
    if (input !== "") this.child.stdin.write(input);
  }

  /** Takes off an output what comes before a mark, and the mark; waits for it if need be. */
  async until(output: Output, mark: string): Promise<string> {
    let searched = 0;
    let tail = "";
    for (;;) {
      const pieces = this.pieces[output];
      for (; searched < pieces.length; searched++) {
        const window = tail + pieces[searched];
        if (window.includes(mark)) return this.take(output, mark);
        tail = window.slice(1 - mark.length);
      }
      if (this.failure) throw this.failure;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private take(output: Output, mark: string): string {
    const text = this.textOf(output);
    const at = text.indexOf(mark);
    this.pieces[output] = [text.slice(at + mark.length)];
    return text.slice(0, at);
  }

  private textOf = (output: Output) => this.pieces[output].join("");

  /** Lets it end: nothing more is wanted from it. */
  end(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.child.stdin.end();
    const overdue = setTimeout(() => this.kill(), endSeconds * 1000);
    this.child.once("close", () => clearTimeout(overdue));
  }

  private read(output: Output, text: string): void {
    if (this.failure) return;
    const length = this.pieces[output].reduce((sum, piece) => sum + piece.length, text.length);
    if (length > mostCharacters) {
      this.fail(this.error(`an answer of more than ${mostCharacters} characters`));
      this.kill();
      return;
    }
    this.pieces[output].push(text);
    // It neither prints nor reads anything before it has a connection; but an ssh may warn on standard error.
    this.isConnected ||= output === "stdout" || this.isScript;
    this.wake();
  }

  private limit(seconds: number, isLate: () => boolean, what: string): void {
    const check = () => {
      if (!isLate()) return;
      const said = reasonIn(this.textOf("stderr"));
      this.fail(this.error(said ? `${what}; ${said}` : what));
      this.kill();
    };
    this.timers.push(setTimeout(check, Math.max(0, seconds) * 1000));
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake();
  }

  private error(reason: string, exitCode?: number): VirshError {
    return new VirshError(this.uri, this.asked.length === 1 ? this.asked.flat() : [], exitCode, reason);
  }

  /** Ends it at once, and with it the ssh that carries it. */
  kill(): void {
    const { pid, exitCode, signalCode } = this.child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(this.isScript ? pid : -pid, "SIGKILL");
    } catch {
      // It ended in the meantime.
    }
  }
}

function spawnError(error: NodeJS.ErrnoException): Error {
  if (error.code !== "ENOENT") return error;
  const issue = { path: "virsh", rule: "must be on PATH", remedy: "apt-get install libvirt-clients" };
  return new UserError("virsh is not installed.", [issue]);
}

/**
 * The URI with what keeps virsh from asking: over ssh no terminal, so that ssh runs in batch mode.
 *
 * @example withoutQuestions("qemu+ssh://root@storage/system") === "qemu+ssh://root@storage/system?no_tty=1"
 */
export function withoutQuestions(uri: string): string {
  if (!/^\w+\+ssh:/.test(uri) || /[?&]no_tty=/.test(uri)) return uri;
  return `${uri}${uri.includes("?") ? "&" : "?"}no_tty=1`;
}
