import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { isHeld, isSeen } from "../../../src/checkout/lock-holder.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, readlinkSync: vi.fn(real.readlinkSync) };
});

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

test.each([
  ["a sandbox under the machine's name, where what is outside is not seen", "uts:[4026531838]", true],
  ["a container with a name of its own", "uts:[4026532300]", false],
])("in %s, a number that is nobody's: may it be at work? (%s: %s)", (_, name, isHeldThere) => {
  const links: Record<string, string> = { "/proc/self/ns/pid": "pid:[4026532301]", "/proc/self/ns/uts": name };
  vi.mocked(readlinkSync).mockImplementation((link) => links[String(link)] ?? "");
  onTestFinished(() => void vi.mocked(readlinkSync).mockReset());
  expect(isHeld(holder(dead()))).toBe(isHeldThere);
  expect(isHeld(holder(process.pid))).toBe(isHeldThere);
});
