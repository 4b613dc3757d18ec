import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { releaseDeadLocks } from "../../../local/stack-lock.ts";

let root: string;
let locks: string;
const before = process.env.PATH;

/** A `pulumi` that only notes what it was asked for. */
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "stack-lock-"));
  locks = path.join(root, ".local/state/.pulumi/locks/organization/project-vms/local");
  mkdirSync(locks, { recursive: true });
  const pulumi = path.join(root, "pulumi");
  writeFileSync(pulumi, '#!/bin/sh\necho "$@" >asked\n');
  chmodSync(pulumi, 0o755);
  process.env.PATH = `${root}:${before}`;
});
afterEach(() => {
  process.env.PATH = before;
  rmSync(root, { recursive: true });
});

const written = (pid: number, host = hostname()) =>
  JSON.stringify({ pid, username: "me", hostname: host, timestamp: "2026-11-21T00:00:00Z" });

/** As the file backend leaves it, in a state in which an older version put attributes beside each file. */
function lock(pid: number, host?: string): void {
  const file = path.join(locks, `${readdirSync(locks).length}.json`);
  writeFileSync(file, written(pid, host));
  writeFileSync(`${file}.attrs`, '{"user.content_type":"text/plain"}');
}
const dead = () => spawnSync("true").pid;
/** A program of the engine's name, that sleeps. */
function engineProgram(): string {
  const program = path.join(root, "bin", "pulumi");
  mkdirSync(path.dirname(program));
  copyFileSync("/bin/sleep", program);
  chmodSync(root, 0o755);
  return program;
}
function engine(): number {
  const child = spawn(engineProgram(), ["60"], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  return child.pid as number;
}
const asked = () => (existsSync(path.join(root, "asked")) ? readFileSync(path.join(root, "asked"), "utf8").trim() : "");

/** Whether the locks of the stack are released when they are looked at. */
async function isReleased(log: (line: string) => void = () => undefined): Promise<boolean> {
  await releaseDeadLocks(root, "local", log);
  return asked() === "cancel --yes --stack local";
}

test("the lock of an update that was killed is released", async () => {
  lock(dead());
  const said: string[] = [];
  expect(await isReleased((line) => said.push(line))).toBe(true);
  expect(said).toEqual([
    expect.stringMatching(/^releasing the lock of an update that did not finish \(process \d+\)$/),
  ]);
});

test("a process that has ended and that nobody asked after holds nothing", async () => {
  // What this shell becomes asks after no child.
  const parent = spawn("sh", ["-c", '"$0" 0.1 & echo $!; exec sleep 60', engineProgram()]);
  try {
    const child = await new Promise((resolve) => parent.stdout.once("data", (said) => resolve(String(said).trim())));
    await vi.waitFor(() => expect(readFileSync(`/proc/${child}/stat`, "utf8")).toContain("(pulumi) Z "));
    lock(Number(child));
    expect(await isReleased()).toBe(true);
  } finally {
    parent.kill();
  }
});

test("a number that is another program's by now holds nothing", async () => {
  lock(process.pid);
  expect(await isReleased()).toBe(true);
});

test.each([
  ["that a power cut left empty", "0.json", () => ""],
  ["of an engine that was killed before it wrote it", "0.json.18a0c2f1e5b3.tmp", () => ""],
  ["of an engine that was killed while it wrote it", "0.json.18a0c2f1e5b3.tmp", () => written(dead()).slice(0, 9)],
  ["of an engine that was killed before it renamed it", "0.json.18a0c2f1e5b3.tmp", () => written(dead())],
])("one %s holds nothing, and is released", async (_, name, content) => {
  writeFileSync(path.join(locks, name), content());
  expect(await isReleased()).toBe(true);
  expect(asked()).toBe("cancel --yes --stack local");
});

test("one that is being written is read when it is whole", async () => {
  const file = path.join(locks, "0.json.18a0c2f1e5b3.tmp");
  writeFileSync(file, "");
  const released = isReleased();
  writeFileSync(file, written(engine()));
  expect(await released).toBe(false);
  expect(asked()).toBe("");
});

test("one that the engine does not release is told with the engine's words", async () => {
  lock(dead());
  writeFileSync(path.join(root, "pulumi"), "#!/bin/sh\necho error: no such stack >&2; exit 1\n");
  await expect(releaseDeadLocks(root, "local", () => {})).rejects.toThrow(
    [
      "The lock of an update that did not finish could not be released.",
      "  - stack local: must be released by `pulumi cancel` (error: no such stack)",
      '    see what keeps it: `pulumi cancel -s local` (in a shell of `eval "$(make -s env)"`)',
    ].join("\n"),
  );
});

test.each<[string, () => void]>([
  ["of a process that lives", () => lock(engine())],
  ["of another machine", () => lock(dead(), "elsewhere")],
  ["of a dead and a living process", () => [dead(), engine()].forEach((pid) => void lock(pid))],
  ["that there is none of", () => {}],
])("a lock %s stays", async (_, make) => {
  make();
  expect(await isReleased()).toBe(false);
  expect(asked()).toBe("");
});

test.skipIf(process.getuid?.() !== 0)(
  "a process of that number and name that is another user's holds nothing",
  async () => {
    const child = spawn(engineProgram(), ["60"], { stdio: "ignore", uid: 65534 });
    onTestFinished(() => void child.kill());
    lock(child.pid as number);
    expect(await isReleased()).toBe(true);
    expect(asked()).toBe("cancel --yes --stack local");
  },
);
