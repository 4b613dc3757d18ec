import { spawnSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { decode, encode, recordsVariable, sayable, type VmProgress } from "../../../src/core/records.ts";
import { sayProgress } from "../../../src/core/say.ts";

const bytes = (text: string) => Math.max(...text.split("\n").map((line) => Buffer.byteLength(line)));

test.each([
  ["letters", "x"],
  ["letters of four bytes", "\u{1f600}"],
  ["control characters, which are shown by four", "\x07"],
  ["what only looks like text, shown by more", "\u{e0001}"],
  ["what would begin a colour", "<{%"],
  ["tabs", "\t"],
])("a line of a million %s is cut to some KiB", (_, character) => {
  expect(bytes(sayable(character.repeat(1_000_000)))).toBeLessThan(17 * 1024);
});

test("lines of a usual length, and their number, stay as they are", () => {
  const text = `${"x".repeat(4096)}\n`.repeat(100);
  expect(sayable(text)).toBe(text);
  expect(sayable(`first\n${"y".repeat(5000)}\nlast`)).toBe(`first\n${"y".repeat(4096)}… (904 more characters)\nlast`);
});

const progress: VmProgress = { guest: "project-app", stage: "boot", state: "ok", seconds: 31 };

test("progress is a line for people, and a record where those are asked for", () => {
  const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
  sayProgress("project-app: boot ok, 31 s", progress);
  sayProgress("project-app: its tailnet calls it \x07");
  vi.stubEnv(recordsVariable, "1");
  sayProgress("project-app: boot ok, 31 s", progress);
  sayProgress("project-app: its tailnet calls it \x07");
  expect(printed.mock.calls.flat()).toEqual([
    "project-app: boot ok, 31 s",
    "project-app: its tailnet calls it \\x07",
    encode(progress),
    "project-app: its tailnet calls it \\x07",
  ]);
  printed.mockRestore();
  vi.unstubAllEnvs();
});

test("no line of what a guest or host has said is a record", () => {
  const text = `reason:\n${encode(progress)}\n${encode(progress)}\r\n`;
  const lines = sayable(text).split("\n");
  expect(lines).toEqual(["reason:", ` ${encode(progress)}`, ` ${encode(progress)}`, ""]);
  expect(lines.map(decode)).toEqual([undefined, undefined, undefined, undefined]);
});

test("the longest record is shorter than the longest line", () => {
  const longest: VmProgress = {
    ...progress,
    guest: `project-${"a".repeat(55)}`,
    stage: "cloud-init",
    state: "waiting",
  };
  expect(encode({ ...longest, seconds: Number.MAX_VALUE }).length).toBeLessThan(256);
});

test.each([
  ["src/steps/wait-until-ready.ts", "PROJECT_VMS_READY"],
  ["src/steps/tear-down-vm.ts", "PROJECT_VMS_TEARDOWN"],
  ["src/steps/remove-network.ts", "PROJECT_VMS_NETWORK"],
  ["src/steps/publish-base-image.ts", "PROJECT_VMS_IMAGE"],
  ["src/steps/backup-schedule.ts", "PROJECT_VMS_BACKUP"],
])("the step %s prints no longer one, and no stack trace, whatever its host says", (entry, variable) => {
  const long = "x".repeat(50_000);
  const image = { kind: "url", url: `file:///nowhere/${long}`, sha512: "0".repeat(128) };
  const about = { uri: `nodriver${long}:///system`, project: "app", name: "net", storageDir: "/vms", image };
  // One that nothing can be run on: a schedule is otherwise put onto this machine.
  const backup = {
    PROJECT_VMS_URI: `qemu+tls://${long}/system`,
    PROJECT_VMS_PROJECT: "app",
    PROJECT_VMS_STORAGE_DIR: "/vms",
  };
  const value = JSON.stringify({ ...about, every: "1d", keep: 1 });
  const args = ["bin/entry.js", entry, ...(entry.endsWith("/backup-schedule.ts") ? ["install"] : [])];
  const { stderr, status } = spawnSync("node", args, {
    env: { ...process.env, ...backup, [variable]: value },
    encoding: "utf8",
  });
  expect([status, bytes(stderr) > 100, bytes(stderr) < 17 * 1024]).toEqual([1, true, true]);
  expect(stderr).not.toMatch(/^ {4}at /m);
});
