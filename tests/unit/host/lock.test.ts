import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withLock } from "../../../host/lock.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "locks-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

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
