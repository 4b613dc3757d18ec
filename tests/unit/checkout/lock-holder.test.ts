import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { isHeld, isSeen } from "../../../src/checkout/lock-holder.ts";

const holder = (pid: number) => ({ pid, hostname: hostname(), username: userInfo().username });
const dead = () => spawnSync("true").pid;

/** A program of the engine's name that sleeps, started by these words. */
function engine(...before: string[]) {
  const dir = mkdtempSync(path.join(tmpdir(), "lock-holder-"));
  const file = path.join(dir, "pulumi");
  copyFileSync("/bin/sleep", file);
  const [program = "", ...args] = [...before, file, "60"];
  const child = spawn(program, args, { stdio: "ignore" });
  onTestFinished(() => {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true });
  });
  return child;
}

test.each([
  ["is seen at work", () => engine().pid as number, { isSeen: true, isHeld: true }],
  ["is gone", dead, { isSeen: false, isHeld: false }],
  ["has a number that is another program's", () => process.pid, { isSeen: false, isHeld: false }],
])("an engine that %s", (_, pid, expected) => {
  const one = holder(pid());
  expect({ isSeen: isSeen(one), isHeld: isHeld(one) }).toEqual(expected);
});

test("an engine on another machine is not seen, and may be at work", () => {
  const one = { ...holder(engine().pid as number), hostname: "elsewhere" };
  expect([isSeen(one), isHeld(one)]).toEqual([false, true]);
});

test.skipIf(process.getuid?.() !== 0)(
  "an engine in a sandbox of this machine holds its lock by the number that it has there",
  async () => {
    const sandbox = engine("unshare", "--pid", "--fork", "--kill-child");
    const children = `/proc/${sandbox.pid}/task/${sandbox.pid}/children`;
    const child = () => Number(readFileSync(children, "utf8"));
    const name = () => readFileSync(`/proc/${child()}/comm`, "utf8");
    await vi.waitFor(() => expect(name()).toBe("pulumi\n"));
    // It is the first process there; here that number is no engine's.
    expect([isSeen(holder(1)), isHeld(holder(1))]).toEqual([false, true]);
    const ended = new Promise((resolve) => sandbox.once("exit", resolve));
    process.kill(child(), "SIGKILL");
    await ended;
    expect(isHeld(holder(1))).toBe(false);
  },
);

/** Asks a program of its own, in namespaces of its own, whether a number that is nobody's there may be at work. */
function isHeldIn(...namespaces: string[]): boolean {
  const source = JSON.stringify(path.resolve("src/checkout/lock-holder.ts"));
  const script = `import { hostname } from "node:os";
    const { isHeld } = await import(${source});
    console.log(isHeld({ pid: 4000000, hostname: hostname(), username: "me" }));`;
  const args = ["--import", "tsx", "--input-type=module", "--eval", script];
  const [program = "", ...words] = [...namespaces, process.execPath, ...args];
  const env = { ...process.env, TSX_DISABLE_CACHE: "1" };
  const { stdout, stderr } = spawnSync(program, words, { encoding: "utf8", env });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as boolean;
}

const named = (name: string) => ["--uts", "sh", "-c", `hostname ${name} && exec "$@"`, "sh"];
/** As `init` begins a system. */
const systemNamed = (name: string) => ["--uts", init(), "-c", `hostname ${name} && "$@"`, "init"];
function init(): string {
  const dir = mkdtempSync(path.join(tmpdir(), "lock-holder-"));
  copyFileSync("/bin/sh", path.join(dir, "init"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return path.join(dir, "init");
}
const hasMachinesName = readlinkSync("/proc/self/ns/uts") === "uts:[4026531838]";

describe.skipIf(process.getuid?.() !== 0)(
  "from inside of what numbers its processes itself, what is outside is not seen",
  () => {
    test.skipIf(!hasMachinesName)("under the machine's name a number that is nobody's may be at work", () => {
      expect(isHeldIn("unshare", "--pid", "--fork", "--mount-proc")).toBe(true);
    });

    test.each<[string, () => string[], boolean]>([
      ["under one that may be the machine's too, as by `docker run --network host`", () => named("storage"), true],
      ["under its own ID", () => named("0123456789ab"), false],
      ["in a system of its own", () => systemNamed("storage"), false],
    ])("%s: may it be at work?", (_, words, isHeldThere) => {
      expect(isHeldIn("unshare", "--pid", "--fork", "--mount-proc", ...words())).toBe(isHeldThere);
    });
  },
);
