import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { Census } from "../../ci/census.ts";
import type { Note } from "../../ci/note.ts";

/** What the looks find, what was noted before, and the time, which passes by waiting alone. */
const machine = vi.hoisted(() => ({
  looks: [] as object[],
  before: {} as object,
  noted: undefined as unknown,
  open: [] as string[],
  now: 0,
}));
vi.mock("node:timers/promises", () => ({
  setTimeout: async (time: number) => {
    machine.now += time;
  },
}));
vi.mock("../../ci/census.ts", async (original) => ({
  ...(await original()),
  takeCensus: () => (machine.looks.length > 1 ? machine.looks.shift() : machine.looks[0]),
  unattendedUpgrades: () => 0,
}));
vi.mock("../../ci/note.ts", () => ({
  readNote: async () => ({ census: machine.before, upgrades: 0, roots: [] }),
  writeNote: (_: string, note: unknown) => {
    machine.noted = note;
  },
}));
vi.mock("../../ci/hosts.ts", async (original) => ({ ...(await original()), hostFolders: () => new Map() }));
vi.mock("../../ci/files.ts", async (original) => ({ ...(await original()), openFiles: () => new Set(machine.open) }));

const { argv } = process;
beforeEach(() => {
  vi.resetModules();
  vi.stubEnv("RUNNER_ENVIRONMENT", undefined);
  vi.spyOn(performance, "now").mockImplementation(() => machine.now);
  Object.assign(machine, { looks: [], before: {}, noted: undefined, open: [], now: 0 });
});
afterEach(() => {
  process.argv = argv;
  process.exitCode = undefined;
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** The exit status of the check, and what it prints. */
async function check(...args: string[]): Promise<[unknown, string[]]> {
  const printed = vi.spyOn(console, "log").mockReturnValue();
  process.argv = [...argv.slice(0, 2), ...args];
  await import("../../ci/check.ts");
  return [process.exitCode, printed.mock.calls.flat()];
}

const left = (name: string, kind = "file"): Census => ({ [kind]: { [name]: "" } });
const nothing = "was left behind: files, processes, namespaces, mounts, devices, units, hosts, rules of the firewall";

test("a run that left nothing passes", async () => {
  machine.looks = [{}];
  expect(await check("after")).toEqual([0, [`nothing ${nothing} (0.0 s)`]]);
});

test("a run that left anything fails, and it is named, after a while in which it may go", async () => {
  machine.looks = [left("40: sleep", "process")];
  expect(await check("after")).toEqual([1, ["left behind by the tests: process left: 40: sleep"]]);
  expect(machine.now).toBeGreaterThan(10_000);
});

test("what goes by itself in that while is none, nor what another program is writing", async () => {
  machine.looks = [left("40: sleep", "process"), left("/root/log")];
  machine.open = ["/root/log"];
  expect(await check("after")).toEqual([0, [`nothing ${nothing} (0.5 s)`]]);
});

test.each([
  [undefined, 0],
  ["github-hosted", 1],
])("what may be other work's, on a machine that is %s, ends the run by %i", async (environment, status) => {
  vi.stubEnv("RUNNER_ENVIRONMENT", environment);
  machine.looks = [left("/tmp/x-of-others")];
  const [exitCode, lines] = await check("after");
  expect([exitCode, lines[0]]).toEqual([status, expect.stringMatching(/: file left: \/tmp\/x-of-others$/)]);
});

test("what a run's preparation left is not noted as there before it", async () => {
  vi.stubEnv("PROJECT_VMS_RUN", "check-test");
  /** One in the checkout that its starter has left: no child of this process. */
  const leave = (env: NodeJS.ProcessEnv) => {
    const options = { encoding: "utf8", env } as const;
    const pid = Number(execFileSync("sh", ["-c", "setsid sleep 61 >/dev/null 2>&1 & echo $!"], options));
    onTestFinished(() => void process.kill(pid, "SIGKILL"));
    return pid;
  };
  const [ours, anothers] = [leave(process.env), leave({ ...process.env, PROJECT_VMS_RUN: "another" })];
  machine.looks = [left("/left (tmpfs)", "mount")];
  await check("before", "tests/unit/ci/held-at-start.txt");
  const { census } = machine.noted as Note;
  expect(census).toMatchObject({
    mount: { "/ (ext4)": "" },
    "network namespace": { "/run/netns/a (nsfs)": "" },
    "loop device": { "/dev/loop1 of /srv/an image: of mine": "" },
  });
  expect(Object.keys(census.mount ?? {})).toEqual(["/ (ext4)"]);
  expect(Object.keys(census["loop device"] ?? {})).toHaveLength(1);
  const pids = Object.keys(census.process ?? {}).map((name) => Number.parseInt(name, 10));
  expect([ours, anothers].map((pid) => pids.includes(pid))).toEqual([false, true]);
});

test(".ci/run notes what the kernel holds before it prepares anything, and hands that on", () => {
  const run = readFileSync(".ci/run", "utf8");
  const [noted, prepared] = [run.indexOf(">.local/held-at-start"), run.indexOf("make prepare")];
  expect(noted).toBeGreaterThan(0);
  expect(prepared).toBeGreaterThan(noted);
  expect(run).toContain("left_behind before .local/held-at-start");
});
