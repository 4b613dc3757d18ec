import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { refreshPool } from "../../../src/libvirt/pool-volumes.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";

// Node's own promises of a timer are not among those that are faked.
vi.mock("node:timers/promises", () => ({
  setTimeout: (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
}));

const busy = "internal error: pool 'project-vms-base' has asynchronous jobs running.";

let tries: number;
beforeEach(() => {
  vi.useFakeTimers();
  tries = 0;
});
afterEach(() => vi.useRealTimers());

/** A libvirt that refuses a refresh until a time, in seconds from now, has passed. */
function refusing(reason: string, seconds: number): Virsh {
  const end = Date.now() + seconds * 1000;
  const run = async (...args: string[]) => {
    tries++;
    if (Date.now() < end) throw new VirshError("qemu:///system", args, 1, reason);
    return "";
  };
  return { uri: "qemu:///system", run, runPrivately: run };
}

async function outcome(refreshing: Promise<void>): Promise<string> {
  const settled = refreshing.then(
    () => "refreshed",
    (error: Error) => error.message,
  );
  await vi.runAllTimersAsync();
  return settled;
}

const failure = (reason: string) => `virsh -c qemu:///system pool-refresh base failed (exit code 1): ${reason}`;

test.each([
  ["a pool that is free is refreshed at once", busy, 0, undefined, "refreshed"],
  ["a pool to which another image is uploaded is waited for", busy, 600, 1800, "refreshed"],
  ["but not for ever", busy, 2000, 1800, failure(busy)],
  ["nor for long by those who have no upload to wait for", busy, 6, undefined, failure(busy)],
  ["another reason is given five seconds", "no such folder", 4, 1800, "refreshed"],
  ["and then is told", "no such folder", 6, 1800, failure("no such folder")],
])("%s", async (_title, reason, seconds, limit, expected) => {
  expect(await outcome(refreshPool(refusing(reason, seconds), "base", limit))).toBe(expected);
  expect(tries > 1).toBe(seconds > 0);
});
