import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StackLocked } from "../../../src/checkout/locked-stack.ts";
import { InvalidValue, UsageError, UserError } from "../../../src/core/errors.ts";
import { runProgram } from "../../../src/core/run-program.ts";
import { Interrupted } from "../../../src/engine/interrupts.ts";
import { PulumiError } from "../../../src/engine/pulumi-process.ts";
import { AgentError, GuestRefusal, ProgramError } from "../../../src/guest/guest-refusal.ts";
import { NotReadyError } from "../../../src/guest/ready.ts";
import { ShellError } from "../../../src/libvirt/shell.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { GuestNotThawed } from "../../../src/project-disks/freeze.ts";

beforeEach(() => {
  process.exitCode = undefined;
});
afterEach(() => {
  process.exitCode = undefined;
  process.stdout.removeAllListeners("error");
  process.stderr.removeAllListeners("error");
  vi.restoreAllMocks();
});

/** What a program prints that fails so, and its exit code. */
async function failed(error: unknown): Promise<[printed: string, exitCode: unknown]> {
  const print = vi.spyOn(console, "error").mockReturnValue();
  await runProgram(() => Promise.reject(error));
  return [print.mock.calls.join("\n"), process.exitCode];
}

const system = (code: string, path?: string) =>
  Object.assign(new Error(`${code}: that may not be, open '${path}'`), { code, path });

describe("a user's matter is its text alone", () => {
  const issue = { path: "Pulumi.local.yaml: host.uri", rule: "must answer", remedy: "start it" };

  test.each<[string, Error, string, number]>([
    ["a mistake", new UserError("No.", [issue]), "No.\n  - Pulumi.local.yaml: host.uri: must answer\n    start it", 1],
    [
      "misuse",
      new UsageError("error: missing required argument 'project'"),
      "error: missing required argument 'project'",
      2,
    ],
    ["misuse that was told already", new UsageError(""), "", 2],
    ["an interrupt", new Interrupted("Interrupted."), "Interrupted.", 1],
    ["a locked stack", new StackLocked("Nothing was changed."), "Nothing was changed.", 1],
    ["a frozen guest", new GuestNotThawed("The guest may be frozen."), "The guest may be frozen.", 1],
    [
      "a virsh that failed",
      new VirshError("qemu:///system", ["list"], 38, "no connection"),
      "virsh -c qemu:///system list failed (exit code 38): no connection",
      1,
    ],
    [
      "a program of a host that failed",
      new ShellError("root@storage", ["qemu-img", "info"], 127, "not found\n"),
      "qemu-img info failed on root@storage (exit code 127): not found",
      1,
    ],
    [
      "a VM that is not ready",
      new NotReadyError("project-app", "disk", 3, "it is not mounted", "login:"),
      "project-app is not ready: stage disk failed after 3 s:\n  | it is not mounted\nThe end of the guest's log:\n  | login:",
      1,
    ],
    ["an agent", new AgentError("project-app", "no answer"), "The guest agent of project-app: no answer", 1],
    ["a guest's program", new ProgramError("project-app", "df", 2, ""), "project-app: df failed (exit code 2)", 1],
    ["a file", system("EACCES", "/x"), "EACCES: that may not be, open '/x'", 1],
    ["a full disk", system("ENOSPC", "/x"), "ENOSPC: that may not be, open '/x'", 1],
  ])("%s", async (_, error, text, exitCode) => {
    expect(await failed(error)).toEqual([text, exitCode]);
  });

  test("what a guest or a host has said in it does nothing to a terminal, and is no endless line", async () => {
    const hostile = `\x1b[2J${"x".repeat(5000)}`;
    const value = { path: "app", rule: "must be", remedy: hostile };
    for (const error of [
      new UserError("No.", [value]),
      new GuestRefusal("project-app", "ip", hostile),
      new ShellError("root@storage", ["sh"], 1, hostile),
      Object.assign(system("EACCES", "/x"), { message: hostile }),
    ]) {
      const [printed, exitCode] = await failed(error);
      expect(printed).not.toContain("\x1b");
      expect(printed).toMatch(/\\x1b\[2Jx{4000,}… \(\d+ more characters\)/);
      expect(exitCode).toBe(1);
    }
  });

  test("a private key that stands where another value should is not shown", async () => {
    const value = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE";
    const [printed] = await failed(new UserError("No.", [{ ...issue, value }]));
    expect(printed).toContain("must answer, but is a private key (not shown)");
    expect(printed).not.toContain("b3BlbnNz");
  });
});

describe("everything else is a bug, with its trace", () => {
  test.each<[string, unknown, RegExp]>([
    ["an error", new TypeError("x is undefined"), /^TypeError: x is undefined\n {4}at .*run-program\.test\.ts/],
    [
      "a value that nobody has placed",
      new InvalidValue("must be 1", "write 1"),
      /^(InvalidValue|Error): must be 1: write 1\n {4}at /,
    ],
    [
      "an engine's error as it came",
      new PulumiError(["up"], "", "no"),
      /^(Pulumi)?Error: pulumi up did not succeed:\nno\n {4}at /,
    ],
    ["a file that should be there", system("ENOENT", "/x"), /^Error: ENOENT: that may not be, open '\/x'\n {4}at /],
    ["an answer that may not be read", system("EACCES"), /^Error: EACCES/],
    ["no error at all", "just words", /^'just words'\n/],
    [
      "with its cause",
      new Error("outer", { cause: new Error("inner") }),
      /outer\n( {4}at .*\n)+caused by: Error: inner\n {4}at /,
    ],
  ])("%s", async (_, error, text) => {
    const [printed, exitCode] = await failed(error);
    expect(printed).toMatch(text);
    expect(printed).toMatch(/\nThis is a bug in project-vms: please report it with the lines above\.$/);
    expect(exitCode).toBe(1);
  });

  test("what hangs on it may be secret, and is not shown", async () => {
    const [printed] = await failed(Object.assign(new Error("no"), { headers: { authorization: "tskey-api-secret" } }));
    expect(printed).not.toContain("tskey");
  });
});

test("a program that succeeds prints nothing, and keeps the exit code that it chose", async () => {
  const print = vi.spyOn(console, "error").mockReturnValue();
  await runProgram(async () => {
    process.exitCode = 7;
  });
  expect([print.mock.calls, process.exitCode]).toEqual([[], 7]);
});

test("who reads only the beginning ends it with 0; progress that nobody reads ends nothing", async () => {
  const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
  const gone = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  await runProgram(async () => {
    process.stderr.emit("error", gone);
    expect(exit).not.toHaveBeenCalled();
    process.stdout.emit("error", gone);
  });
  expect(exit.mock.calls).toEqual([[0]]);
});
