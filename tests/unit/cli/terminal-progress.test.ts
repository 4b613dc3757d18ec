import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TerminalProgress } from "../../../cli/terminal-progress.ts";
import { Waiting } from "../../../cli/waiting.ts";
import type { Stage, VmProgress } from "../../../src/core/records.ts";
import { screenOf } from "../../e2e/support/screen.ts";

const waits = (guest: string, stage: Stage): VmProgress => ({ guest, stage, state: "waiting", seconds: 20 });
const holds = (stage: Stage): VmProgress => ({ guest: "project-api", stage, state: "ok", seconds: 31.2 });

describe("what is waited for", () => {
  test.each<[VmProgress[], string | undefined]>([
    [[], undefined],
    [[waits("project-api", "boot")], "project-api: waiting for boot"],
    [[holds("boot")], "project-api: waiting for cloud-init"],
    [(["boot", "cloud-init", "disk", "network"] as const).map(holds), "project-api: waiting for docker, nix, claude"],
    [
      [...(["boot", "cloud-init", "disk", "network", "nix"] as const).map(holds), waits("project-api", "tailnet")],
      "project-api: waiting for docker, claude, tailnet",
    ],
    [
      [holds("boot"), waits("project-web", "boot")],
      "project-api: waiting for cloud-init; project-web: waiting for boot",
    ],
    [(["boot", "cloud-init", "disk", "network", "docker", "nix", "claude"] as const).map(holds), undefined],
  ])("after %j is %j", (records, description) => {
    const waiting = new Waiting();
    for (const record of records) waiting.heard(record);
    expect(waiting.describe()).toBe(description);
  });

  test("records that say nothing else need not stay", () => {
    const waiting = new Waiting();
    expect(waiting.heard(waits("project-api", "boot"))).toBe(true);
    expect(waiting.heard(holds("boot"))).toBe(false);
  });
});

/** A terminal's lines begin at the left only after a carriage return, which its driver adds. */
class FakeTerminal {
  columns = 60;
  private written = "";
  write(text: string): boolean {
    this.written += text.replaceAll("\n", "\r\n");
    return true;
  }
  get screen() {
    return screenOf(this.written).map((line) => line.replaceAll(/\d\d:\d\d/g, "mm:ss"));
  }
}

describe("on a terminal", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("lines stay, and below them one moves", () => {
    const terminal = new FakeTerminal();
    const progress = new TerminalProgress(terminal);
    progress.log("local: updating");
    expect(terminal.screen).toEqual(["mm:ss  local: updating", "⠋ mm:ss"]);
    progress.log("project-api: boot ok, 31.2 s", holds("boot"));
    vi.advanceTimersByTime(130);
    const lines = ["mm:ss  local: updating", "mm:ss  project-api: boot ok, 31.2 s"];
    expect(terminal.screen).toEqual([...lines, "⠹ mm:ss  project-api: waiting for cloud-init"]);
    progress.clear();
    vi.advanceTimersByTime(1000);
    expect(terminal.screen).toEqual(lines);
  });

  test("a line without a record stays, whatever it says, and nothing is waited for by it", () => {
    const terminal = new FakeTerminal();
    new TerminalProgress(terminal).log("project-api: waiting for boot, 20 s");
    expect(terminal.screen).toEqual(["mm:ss  project-api: waiting for boot, 20 s", "⠋ mm:ss"]);
  });

  test("it makes way for whatever else is printed, on either stream", () => {
    const terminal = new FakeTerminal();
    const other = { write: (text: string) => terminal.write(text) };
    const progress = new TerminalProgress(terminal, [other]);
    progress.log("local: looking");
    terminal.write("api: new VM\n");
    vi.advanceTimersByTime(1000);
    expect(terminal.screen).toEqual(["mm:ss  local: looking", "api: new VM"]);
    progress.log("local: updated");
    other.write("MADE api\n");
    expect(terminal.screen).toEqual(["mm:ss  local: looking", "api: new VM", "mm:ss  local: updated", "MADE api"]);
  });

  test("it is never longer than a line", () => {
    const terminal = Object.assign(new FakeTerminal(), { columns: 30 });
    new TerminalProgress(terminal).log("waits", waits("project-a-long-name", "boot"));
    expect(terminal.screen).toEqual(["⠋ mm:ss  project-a-long-name:"]);
  });
});

/** A program that shows progress, and never ends by itself. Locks mind signals too, but only to let go. */
const program = (rest: string) => `
  import { TerminalProgress } from "./cli/terminal-progress.ts";
  import "./src/core/lock.ts";
  setInterval(() => undefined, 1000);
  ${rest}
  new TerminalProgress(process.stdout).log("project-api: waiting for boot, 20 s");
`;

describe("a signal, while a line moves", () => {
  const root = path.resolve(import.meta.dirname, "../../..");

  async function ended(signal: NodeJS.Signals, rest = "") {
    const child = execa(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program(rest)], {
      cwd: root,
      reject: false,
      stripFinalNewline: false,
    });
    let isSent = false;
    child.stdout.on("data", () => {
      if (!isSent) child.kill(signal);
      isSent = true;
    });
    const { signal: by, exitCode, stdout } = await child;
    return { by, exitCode, isTidy: stdout.endsWith("\r\x1b[K") };
  }

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s takes the line away and ends the program", async (signal) => {
    expect(await ended(signal)).toEqual({ by: signal, exitCode: undefined, isTidy: true });
  });

  test("is left to who makes something of it", async () => {
    const leave = 'process.on("SIGINT", () => setTimeout(() => process.exit(7), 50));';
    expect(await ended("SIGINT", leave)).toEqual({ by: undefined, exitCode: 7, isTidy: true });
  });
});
