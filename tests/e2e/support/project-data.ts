import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { expect } from "vitest";
import type { Checkout } from "./checkout.ts";

const bin = path.resolve(import.meta.dirname, "../../../bin/project-vm");

/** The `project-vm` of a checkout, as its user runs it, with programs of the test's own before the machine's. */
export class ProjectVmTool {
  private readonly fakes: string;

  private readonly checkout: Checkout;

  constructor(checkout: Checkout) {
    this.checkout = checkout;
    this.fakes = path.join(checkout.dir, "fakes");
  }

  /** Never throws: the caller looks at exitCode, stdout and `all`. */
  run(...args: string[]) {
    const options = { cwd: this.checkout.dir, all: true, reject: false, stdin: "ignore", env: this.env() } as const;
    return execa(bin, args, options);
  }

  /** Starts it in a process group of its own, as a terminal would. */
  start(...args: string[]): ChildProcess {
    const options = { cwd: this.checkout.dir, detached: true, stdio: "ignore", env: { ...process.env, ...this.env() } };
    return spawn(bin, args, options as { detached: true; stdio: "ignore" });
  }

  /** Puts a program before that of the machine, or takes it away again. */
  fake(program: string, script: string | undefined): void {
    const file = path.join(this.fakes, program);
    rmSync(file, { force: true });
    if (script === undefined) return;
    mkdirSync(this.fakes, { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }

  /** The path of a fake program. */
  fakePath = (program: string) => path.join(this.fakes, program);

  private env = () => ({ PATH: `${this.fakes}:${process.env.PATH}` });
}

/** Sends a signal to a process group and waits until its first process is gone. */
export async function killGroup(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once("close", resolve));
  process.kill(-(child.pid as number), signal);
  await closed;
}

/** What a command printed goes into the failure when it did not do what it should. */
export async function succeed(command: Promise<{ exitCode?: number | undefined; all?: string; stdout?: unknown }>) {
  const { exitCode, all, stdout } = await command;
  expect(exitCode, all).toBe(0);
  return String(stdout);
}

/** Fails with this as the last lines of what it says. */
export async function refuse(command: Promise<{ exitCode?: number | undefined; all?: string }>, ...lines: string[]) {
  const { exitCode, all = "" } = await command;
  expect([exitCode, all.trimEnd().split("\n").slice(-lines.length)]).toEqual([1, lines]);
}

/** What is on a disk image, or in one of its snapshots, read without the guest; also while a VM uses it. */
export function readDisk(image: string, file: string, snapshot?: string): { fsck: string; text: string } {
  const dir = mkdtempSync(path.join(tmpdir(), "disk-"));
  try {
    const raw = path.join(dir, "raw");
    const of = snapshot ? ["-l", `snapshot.name=${snapshot}`] : [];
    execaSync("qemu-img", ["convert", "-U", ...of, "-O", "raw", image, raw]);
    const check = execaSync("e2fsck", ["-f", "-n", raw], { reject: false, all: true });
    // "recovering journal" is what a filesystem needs that was cut off.
    const fsck = check.exitCode === 0 && !/journal/i.test(check.all) ? "clean" : check.all;
    return { fsck, text: execaSync("debugfs", ["-R", `cat /${file}`, raw], { stderr: "ignore" }).stdout };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
