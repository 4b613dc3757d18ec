import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { placeVariables } from "../../../setup/home.ts";

/** Between the polite and the other signal, in milliseconds. */
const grace = 5000;

const linesOfLog = 15;

const places = () => Object.fromEntries(placeVariables.map((name) => [name, process.env[name] ?? ""]));

/** A program that runs in a network namespace, ends with this process at the latest, and writes to a log file. */
export class NamespaceProcess {
  readonly name: string;
  readonly logFile: string;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  /**
   * @param netns path of the network namespace
   * @param command the program and its arguments: everybody can see them, so they hold no secret
   * @param logFile gets all that it prints
   * @param environment variables beside PATH and those of the test's home
   */
  constructor(netns: string, command: string[], logFile: string, environment: Record<string, string> = {}) {
    this.name = command[0] ?? "";
    this.logFile = logFile;
    const output = openSync(logFile, "a", 0o600);
    // Both replace themselves by what they start: the child's PID is the program's.
    const wrapped = ["--pdeathsig", "KILL", "--", "nsenter", `--net=${netns}`, "--", ...command];
    this.child = spawn("setpriv", wrapped, {
      stdio: ["ignore", output, output],
      env: { PATH: process.env.PATH ?? "", ...places(), ...environment },
    });
    closeSync(output);
    this.ended = new Promise((resolve) => {
      this.child.once("error", () => resolve());
      this.child.once("exit", () => resolve());
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Ends it, and waits until it has ended. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill("SIGTERM");
    const overdue = setTimeout(() => this.child.kill("SIGKILL"), grace);
    await this.ended;
    clearTimeout(overdue);
  }

  /** Waits until something is so. @throws Error with the end of its log if it ends before, or in time it is not so */
  async waitUntil(what: string, limitSeconds: number, isSo: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + limitSeconds * 1000;
    while (!(await isSo())) {
      const problem = this.isRunning ? `waited ${limitSeconds} s for it` : "it has ended";
      if (!this.isRunning || Date.now() > end) throw new Error(`${this.name}: ${what}: ${problem}\n${this.endOfLog()}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  private endOfLog(): string {
    return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-linesOfLog).join("\n");
  }
}
