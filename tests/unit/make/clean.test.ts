import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Issue } from "../../../src/core/errors.ts";

/** What is away, what its user answers, and what was done, in order. */
const machine = vi.hoisted(() => ({
  away: undefined as Issue | undefined,
  answer: "yes",
  done: [] as string[],
  clean: async () => {},
}));
const does = (what: string) => async () => {
  machine.done.push(what);
  return [];
};
vi.mock("../../../src/core/run-program.ts", () => ({
  runProgram: async (main: () => Promise<void>) => {
    machine.clean = main;
  },
}));
vi.mock("../../../src/embedded-host/local-mounts.ts", () => ({ whyAway: () => machine.away }));
vi.mock("../../../src/embedded-host/embedded.ts", async (original) => ({
  ...(await original()),
  stopEmbeddedHost: does("stop"),
  wipeEmbeddedHost: does("wipe"),
}));
vi.mock("../../../src/project-disks/schedule.ts", () => ({ removeAllSchedules: does("schedules") }));
vi.mock("../../../src/embedded-host/lost-hosts.ts", async (original) => ({
  ...(await original()),
  lostHosts: () => [],
}));
vi.mock("../../../src/checkout/resolve.ts", async (original) => ({
  ...(await original()),
  localDir: () => "/nonexistent/.local",
}));
vi.mock("../../../src/checkout/passphrase.ts", () => ({ saltedFiles: () => [], dropSalts: () => undefined }));
vi.mock("node:readline/promises", () => ({
  createInterface: () => ({
    once: () => undefined,
    close: () => undefined,
    question: async () => {
      machine.done.push("question");
      return machine.answer;
    },
  }),
}));

await import("../../../make/clean.ts");

beforeEach(() => {
  machine.away = undefined;
  machine.answer = "yes";
  machine.done = [];
  vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

describe("`make clean`", () => {
  test("asks, then stops the host, and removes schedules and disks", async () => {
    await machine.clean();
    expect(machine.done).toEqual(["question", "stop", "schedules", "wipe"]);
  });

  test("removes nothing for any other answer", async () => {
    machine.answer = "y";
    await machine.clean();
    expect([machine.done, process.exitCode]).toEqual([["question"], 1]);
  });

  test("of disks that are not mounted asks nothing, and leaves host and schedules as they are", async () => {
    machine.away = { path: "/hosts/a/vms", rule: "must be on what /etc/fstab mounts", remedy: "mount it" };
    await expect(machine.clean()).rejects.toThrow(
      "The embedded host is not removed.\n  - /hosts/a/vms: must be on what /etc/fstab mounts\n    mount it",
    );
    expect(machine.done).toEqual([]);
  });
});
