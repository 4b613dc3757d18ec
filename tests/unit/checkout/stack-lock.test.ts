import { type SpawnOptions, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { readLocks, releaseDeadLocks } from "../../../src/checkout/stack-lock.ts";
import { examineLocks } from "../../../src/operations/doctor/engine.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, rmSync: vi.fn(real.rmSync) };
});

let root: string;
let locks: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "stack-lock-"));
  locks = path.join(root, ".local/state/.pulumi/locks/organization/project-vms/local");
  mkdirSync(locks, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const written = (pid: number, host = hostname(), username = userInfo().username) =>
  JSON.stringify({ pid, username, hostname: host, timestamp: "2026-11-21T00:00:00Z" });

/** As the file backend leaves it, in a state in which an older version put attributes beside each file. */
function lock(pid: number, host?: string, username?: string): string {
  const file = path.join(locks, `${readdirSync(locks).length}.json`);
  writeFileSync(file, written(pid, host, username));
  writeFileSync(`${file}.attrs`, '{"user.content_type":"text/plain"}');
  return file;
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
function engine(options: SpawnOptions = {}, ...before: string[]): number {
  const [program = "", ...args] = [...before, engineProgram(), "60"];
  const child = spawn(program, args, { stdio: "ignore", ...options });
  onTestFinished(() => void child.kill());
  return child.pid as number;
}

/** Whether the locks of the stack are released, all of each, when they are looked at; else all are there. */
async function isReleased(log: (line: string) => void = () => undefined): Promise<boolean> {
  const there = readdirSync(locks);
  await releaseDeadLocks(root, "local", log);
  const left = readdirSync(locks);
  if (left.length > 0) expect(left).toEqual(there);
  return left.length < there.length;
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
  ["that holds something else", "0.json", () => '{"pid": "1"}'],
  ["that holds nothing of a lock", "0.json", () => "null"],
  ["of an engine that was killed before it renamed it", "0.json.18a0c2f1e5b3.tmp", () => written(dead())],
])("one %s holds nothing, and is released", async (_, name, content) => {
  writeFileSync(path.join(locks, name), content());
  expect(await isReleased()).toBe(true);
});

test("one that is being written is read when it is whole", async () => {
  const file = path.join(locks, "0.json.18a0c2f1e5b3.tmp");
  writeFileSync(file, "");
  const released = isReleased();
  writeFileSync(file, written(engine()));
  expect(await released).toBe(false);
});

test("one that this user may not remove is named, with what removes it", async () => {
  lock(dead());
  const [file = ""] = readdirSync(locks).map((name) => path.join(locks, name));
  vi.mocked(rmSync).mockImplementationOnce(() => {
    throw new Error(`EACCES: permission denied, unlink '${file}'`);
  });
  await expect(releaseDeadLocks(root, "local", () => {})).rejects.toThrow(
    [
      "The lock of an update that did not finish could not be released.",
      `  - ${file}: must be removable by this user: no process holds the stack local by it (EACCES: permission denied, unlink '${file}')`,
      `    remove it as its owner: rm ${file}`,
    ].join("\n"),
  );
});

test.each<[string, () => unknown]>([
  ["of a process that lives", () => lock(engine())],
  ["of another machine", () => lock(dead(), "elsewhere")],
  ["of a dead and a living process", () => [dead(), engine()].forEach((pid) => void lock(pid))],
  ["that there is none of", () => {}],
])("a lock %s stays", async (_, make) => {
  make();
  expect(await isReleased()).toBe(false);
});

test("the doctor says who holds the stack, and how a lock is released of one that it does not see", async () => {
  const look = async () => {
    const { level, says, remedy = null } = await examineLocks(root, "local", () => undefined);
    return [level, says, remedy];
  };
  const file = lock(4711, "old-name", "eva");
  const says = "an update may be going on: process 4711 of eva on old-name, which is not seen from here";
  expect(await look()).toEqual(["warning", says, `if that is surely gone: \`rm ${file}\``]);
  const states = path.join(root, ".local/state/.pulumi/stacks/project-vms");
  mkdirSync(states, { recursive: true });
  writeFileSync(path.join(states, "local.json.gz"), "");
  const cancel = '`pulumi cancel -s local` (in a shell of `eval "$(make -s env)"`)';
  expect(await look()).toEqual(["warning", says, `if that is surely gone: ${cancel}`]);
  rmSync(file);
  const pid = engine();
  lock(pid);
  expect(await look()).toEqual([
    "ok",
    `an update is going on: process ${pid} of ${userInfo().username} on ${hostname()}`,
    null,
  ]);
});

describe.skipIf(process.getuid?.() !== 0)("a process of that number and name", () => {
  const nobody = Number(spawnSync("id", ["-u", "nobody"]).stdout);
  /** In no /etc/passwd. */
  const unknownUser = 54_321;

  test("that is another user's holds nothing", async () => {
    lock(engine({ uid: nobody }));
    expect(await isReleased()).toBe(true);
  });

  test.each<[string, () => unknown]>([
    [
      "is the lock's user's, though the filesystem gives its file to another",
      () => chownSync(lock(engine()), 1000, 1000),
    ],
    ["may be that of a user who is unknown here", () => lock(engine({ uid: nobody }), undefined, "unknown-here")],
    ["is a user's who is unknown here, and who may call himself anything", () => lock(engine({ uid: unknownUser }))],
    [
      "is in another user namespace, where numbers mean other users",
      async () => {
        const pid = engine({}, "unshare", "--user");
        await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/comm`, "utf8")).toBe("pulumi\n"));
        lock(pid, undefined, "nobody");
      },
    ],
  ])("that %s holds it", async (_, make) => {
    await make();
    expect(await isReleased()).toBe(false);
  });
});

test.each(["../../../elsewhere", "a/b", "..", ".", "", "a\nb", "a b", "x".repeat(101)])(
  "a project that Pulumi.yaml calls %j leads to no folder of locks",
  async (name) => {
    writeFileSync(
      path.join(root, "Pulumi.yaml"),
      `name: ${JSON.stringify(name)}\nbackend:\n  url: file://./.local/state\n`,
    );
    await expect(readLocks(root, "local")).rejects.toThrow(
      `Pulumi.yaml: name: must be 1 to 100 letters, digits and -_. and no dots alone, but is `,
    );
  },
);
