import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { withLock } from "../../../src/core/lock.ts";
import { LockAttempts } from "../../../src/core/lock-attempts.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "locks-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true });
});

const target = () => path.join(dir, "change");

test("one works after the other; the second one says that it waits", async () => {
  const [done, log]: [string[], string[]] = [[], []];
  let end = () => {};
  const isHeld = new Promise<void>((held) => {
    const first = async () => {
      held();
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      done.push("first");
    };
    void withLock(target(), 10, () => undefined, first);
  });
  await isHeld;
  const say = (line: string) => {
    log.push(line);
    end();
  };
  await withLock(target(), 10, say, async () => void done.push("second"));
  expect(done).toEqual(["first", "second"]);
  expect(log).toEqual([`waiting for another process that works on ${target()}`]);
  expect(existsSync(`${target()}.lock`)).toBe(false);
});

test("who waits for too long is told which lock it is, and does nothing", async () => {
  const inTheWay = withLock(
    target(),
    1,
    () => undefined,
    async () => {
      await expect(
        withLock(
          target(),
          1,
          () => undefined,
          async () => expect.unreachable(),
        ),
      ).rejects.toThrow(
        [
          "Another process took too long.",
          `  - ${target()}.lock: must be released within 1 s by the process that holds it`,
          "    wait until that one has ended, then the same command again; the lock of one that was killed is taken over",
        ].join("\n"),
      );
    },
  );
  await inTheWay;
});

test("it goes with what fails under it", async () => {
  const fail = () => Promise.reject(new Error("no"));
  await expect(withLock(target(), 1, () => undefined, fail)).rejects.toThrow("no");
  expect(existsSync(`${target()}.lock`)).toBe(false);
});

const day = 24 * 3600;

/** Time of the monotonic clock passes ten times as fast, for who waits; the lock's own does not. */
function hurry(): void {
  const { now } = performance;
  const real = now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => 10 * real());
}

const take = (limitSeconds: number) => withLock(target(), limitSeconds, silent, async () => "taken");
const silent = () => undefined;

test.each([
  ["of three days ahead, as after a clock was set back,", 3 * day, 10],
  ["of a second ago", -1, 10],
  ["of three days ago", -3 * day, 10],
  ["of three days ahead, that is waited for a second,", 3 * day, 1],
])("the lock of one that was killed with a time %s is taken over", async (_, seconds, limit) => {
  mkdirSync(`${target()}.lock`);
  const time = Date.now() / 1000 + seconds;
  utimesSync(`${target()}.lock`, time, time);
  hurry();
  expect(await take(limit)).toBe("taken");
  expect(existsSync(`${target()}.lock`)).toBe(false);
});

test("a lock that was taken meanwhile is another one, though its time is that of the one before", async () => {
  const lock = `${target()}.lock`;
  const { now } = performance;
  let passed = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now.call(performance) + passed);
  const time = Date.now() / 1000;
  for (const folder of [lock, `${target()}.next`]) {
    mkdirSync(folder);
    utimesSync(folder, time, time);
  }
  const attempts = new LockAttempts(target());
  expect(await attempts.next()).toBeUndefined();
  passed += 60_000;
  rmdirSync(lock);
  renameSync(`${target()}.next`, lock);
  expect(await attempts.next()).toBeUndefined();
  expect(attempts.hasMoved).toBe(true);
  passed += 60_000;
  await (await attempts.next())?.();
  expect(existsSync(lock)).toBe(false);
});

/** A process of its own that holds the lock as all do, renewing it as seldom, and whose clock is that many days ahead. */
async function holder(days: number): Promise<ChildProcess> {
  const program = `const now = Date.now;
Date.now = () => now() + ${days * day * 1000};
const { LockAttempts } = await import(${JSON.stringify(path.resolve("src/core/lock-attempts.ts"))});
if (await new LockAttempts(${JSON.stringify(target())}).next()) console.log("held");
setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx/esm", "--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

test.each([-3, 0, 3])(
  "one that lives keeps it, its clock being %i days ahead, and loses it once it is killed",
  async (days) => {
    const child = await holder(days);
    await expect(take(3)).rejects.toThrow("Another process took too long.");
    child.kill("SIGKILL");
    await once(child, "exit");
    hurry();
    expect(await take(10)).toBe("taken");
  },
);
