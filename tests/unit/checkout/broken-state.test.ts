import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { brokenState, requireReadableState, restoreState } from "../../../src/checkout/broken-state.ts";
import { examineStateFiles } from "../../../src/operations/doctor/engine.ts";
import { examineUnread } from "../../../src/operations/doctor/examine.ts";
import { writeAt } from "../make/write-at.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, copyFileSync: vi.fn(real.copyFileSync) };
});

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "broken-"));
  folder = path.join(root, ".local/state/.pulumi");
  writeFileSync(
    path.join(root, "Pulumi.yaml"),
    "name: project-vms\nbackend: {url: 'file://./.local/state?metadata=skip'}\n",
  );
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

const silent = () => undefined;
const whole = (name: string) => JSON.stringify({ version: 3, checkpoint: { stack: name } });
const cutOff = whole("cut off").slice(0, 30);
const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

const write = (file: string, content: string | Buffer, second = 0) => writeAt(path.join(folder, file), content, second);
const state = (content: string | Buffer, ending = "") => write(`stacks/project-vms/local.json${ending}`, content, 100);

describe("a state that no engine can read is known:", () => {
  test.each<[string, string | Buffer, string, string]>([
    ["cut off", cutOff, "", "cut off or damaged (30 bytes)"],
    ["empty", "", "", "empty"],
    ["zeros", Buffer.alloc(100), "", "cut off or damaged (100 bytes)"],
    ["compressed and cut off", gzipSync(whole("x")).subarray(0, 40), ".gz", "cut off or damaged (40 bytes)"],
    ["compressed and empty", "", ".gz", "empty"],
    ["compressed by zstd and empty", "", ".zst", "empty"],
  ])("%s", async (_, content, ending, is) => {
    const file = state(content, ending);
    expect(await brokenState(root, "local")).toMatchObject({
      file,
      holders: [],
      issue: { path: file, rule: `must be a whole state, but is ${is}, as a full disk or a power cut leaves it` },
    });
  });

  test.each<[string, string | Buffer, string]>([
    ["whole", whole("x"), ""],
    ["compressed and whole", gzipSync(whole("x")), ".gz"],
    ["whole, where its name says that it is compressed", whole("x"), ".gz"],
    ["compressed by zstd, which is not read here", zstd, ".zst"],
  ])("not one that is %s", async (_, content, ending) => {
    state(content, ending);
    expect(await brokenState(root, "local")).toBeUndefined();
  });

  test("not one that is not there, not to be read, or in a backend that is no folder", async () => {
    expect(await brokenState(root, "local")).toBeUndefined();
    mkdirSync(path.join(folder, "stacks/project-vms/local.json"), { recursive: true });
    expect(await brokenState(root, "local")).toBeUndefined();
    vi.stubEnv("PULUMI_BACKEND_URL", "s3://bucket");
    expect(await brokenState(root, "local")).toBeUndefined();
  });
});

/** As the engine names them: `local.json.bak`, and one of each update in `backups` and `history`. */
const copies = {
  bak: "stacks/project-vms/local.json.bak",
  backup: "backups/project-vms/local/local.1767225600000000000.json",
  history: "history/project-vms/local/local-1767225600000000000.checkpoint.json",
  retained: "stacks/project-vms/local.json.1767225600000000000",
  other: "stacks/project-vms/local.json.gz",
};

test.each<[string, [string, string | Buffer, number][]]>([
  [copies.bak, [[copies.bak, whole("x"), 3]]],
  [
    copies.backup,
    [
      [copies.bak, whole("x"), 3],
      [copies.backup, whole("x"), 4],
    ],
  ],
  [
    copies.history,
    [
      [copies.bak, cutOff, 4],
      [copies.backup, "", 5],
      [copies.history, whole("x"), 3],
    ],
  ],
  [
    copies.retained,
    [
      [copies.bak, whole("x"), 3],
      [copies.retained, whole("x"), 4],
    ],
  ],
  [
    copies.other,
    [
      [copies.other, gzipSync(whole("x")), 4],
      [copies.bak, zstd, 5],
    ],
  ],
  [
    `${copies.backup}.gz`,
    [
      [`${copies.backup}.gz`, gzipSync(whole("x")), 3],
      [copies.history, cutOff, 4],
    ],
  ],
])("the newest copy that is whole is named: %s", async (newest, files) => {
  state(cutOff);
  for (const [file, content, second] of files) write(file, content, second);
  // None of this stack's, or no state.
  write("stacks/project-vms/local.json.unreadable", whole("x"), 9);
  write("stacks/project-vms/local2.json.bak", whole("x"), 9);
  write("history/project-vms/local/local-1767225600000000000.history.json", whole("x"), 9);
  write("backups/project-vms/local2/local2.1767225600000000000.json", whole("x"), 9);
  expect((await brokenState(root, "local"))?.copy?.file).toBe(path.join(folder, newest));
});

test("it is put in the place of the broken one, which is put aside, and nothing else is touched", async () => {
  const file = state(cutOff);
  chmodSync(file, 0o600);
  const bak = write(copies.bak, whole("from .bak"), 3);
  const said: string[] = [];
  await restoreState(root, "local", (line) => said.push(line));
  expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual([whole("from .bak"), 0o600]);
  expect(readFileSync(`${file}.unreadable`, "utf8")).toBe(cutOff);
  expect(said).toEqual([`${file} is what ${bak} was; what it was before is in ${file}.unreadable`]);
  expect(await brokenState(root, "local")).toBeUndefined();

  // Once more: what was put aside then stays.
  writeFileSync(file, "");
  await restoreState(root, "local", silent);
  const names = ["local.json", "local.json.bak", "local.json.unreadable", "local.json.unreadable-2"];
  expect(readdirSync(path.dirname(file)).sort()).toEqual(names);
  const texts = names.map((name) => readFileSync(path.join(path.dirname(file), name), "utf8"));
  expect(texts).toEqual([whole("from .bak"), whole("from .bak"), cutOff, ""]);
});

test("a whole state stays as it is, and one without a copy", async () => {
  const file = state(whole("x"));
  write(copies.bak, whole("bak"), 200);
  await restoreState(root, "local", silent);
  expect(readFileSync(file, "utf8")).toBe(whole("x"));
  rmSync(path.join(folder, copies.bak));
  writeFileSync(file, cutOff);
  await restoreState(root, "local", silent);
  expect([readFileSync(file, "utf8"), readdirSync(path.dirname(file))]).toEqual([cutOff, ["local.json"]]);
});

test("what this user may not write is told", async () => {
  const file = state(cutOff);
  write(copies.bak, whole("x"), 3);
  vi.mocked(copyFileSync).mockImplementationOnce(() => {
    throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
  });
  await expect(restoreState(root, "local", silent)).rejects.toThrow(`The state could not be put back.
  - ${file}: must be writable, with its folder, by this user (EACCES: permission denied)
    the same command again, as the user whose it is`);
  expect(readFileSync(file, "utf8")).toBe(cutOff);
});

test("the error names the file, its newest whole copy, and what puts that in its place", async () => {
  const file = state(cutOff);
  const bak = write(copies.bak, whole("x"), 3);
  await expect(
    requireReadableState(root, "local"),
  ).rejects.toThrow(`Nothing was changed: the state of the stack local cannot be read.
  - ${file}: must be a whole state, but is cut off or damaged (30 bytes), as a full disk or a power cut leaves it
    \`project-vm doctor --fix --stack local\` puts there its newest whole copy, ${bak}, of 2026-01-01T00:00:03.000Z; what was made since then is adopted by the next update: see \`project-vm plan --stack local\` first`);
});

test("without a copy it names what begins a new one", async () => {
  const file = state("");
  await expect(
    requireReadableState(root, "local"),
  ).rejects.toThrow(`Nothing was changed: the state of the stack local cannot be read.
  - ${file}: must be a whole state, but is empty, as a full disk or a power cut leaves it
    there is no whole copy of it: mv -n ${file} ${file}.unreadable, then \`project-vm apply --stack local\`, which begins a new one and adopts what is on the host`);
});

/** The lock of an engine at work, a program of its name, or of one on a machine that cannot be asked. */
function lockedBy(where: string): string {
  const program = path.join(root, "pulumi");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["60"], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  const lock = { pid: child.pid, username: "eva", hostname: where };
  write("locks/organization/project-vms/local/1.json", JSON.stringify(lock));
  return `process ${child.pid} of eva on ${where}`;
}

test.each([hostname(), "laptop.of-yesterday"])(
  "while an engine may work on the stack, here or elsewhere (%s), nothing is done, and the way out is told",
  async (where) => {
    const file = state(cutOff);
    write(copies.bak, whole("x"), 3);
    const holder = lockedBy(where);
    const gone =
      'if it is surely gone: `pulumi cancel -s local` (in a shell of `eval "$(make -s env)"`), then the same';
    await expect(
      requireReadableState(root, "local"),
    ).rejects.toThrow(`Nothing was changed: something else works on the stack local.
  - stack local: is locked by ${holder}
    wait until that has ended; ${gone} command again`);
    const [found, ...others] = await examineStateFiles(root, "local", silent);
    expect([found?.says, found?.remedy, found?.fix, others]).toEqual([
      `${file} cannot be read at the moment: an update is going on, which writes it`,
      `look again when it has ended: project-vm doctor; ${gone}`,
      "none",
      [],
    ]);
    await expect(restoreState(root, "local", silent)).rejects.toThrow("an update of the stack local is going on");
    expect(readFileSync(file, "utf8")).toBe(cutOff);
  },
);

describe("the doctor", () => {
  test("does not call a broken state readable, and mends it", async () => {
    const file = state(cutOff);
    const bak = write(copies.bak, whole("x"), 3);
    const [found, ...others] = await examineStateFiles(root, "local", silent);
    expect(found).toMatchObject({
      check: "state files",
      level: "failure",
      says: `${file}: must be a whole state, but is cut off or damaged (30 bytes), as a full disk or a power cut leaves it; there is its newest whole copy, ${bak}, of 2026-01-01T00:00:03.000Z; what was made since then is adopted by the next update: see \`project-vm plan --stack local\` first`,
      remedy: `mv -n ${file} ${file}.unreadable && cp ${bak} ${file}`,
      fix: "possible",
    });
    expect(others).toEqual([]);
    await found?.mend?.();
    expect(await examineStateFiles(root, "local", silent)).toMatchObject([{ level: "ok" }]);
  });

  test("offers nothing where there is no whole copy, and tells of empty attributes too", async () => {
    state(cutOff);
    write("stacks/project-vms/local.json.attrs", "");
    const found = await examineStateFiles(root, "local", silent);
    expect(found.map(({ level, fix }) => [level, fix])).toEqual([
      ["failure", "none"],
      ["failure", "possible"],
    ]);
  });

  test("does not say of a state that was not read that there is none", async () => {
    const stack = { root, name: "local" };
    expect(await examineUnread(stack)).toBeUndefined();
    const file = state(cutOff);
    expect(await examineUnread(stack)).toMatchObject({
      check: "state",
      level: "warning",
      says: `not known: ${file} could not be read`,
      remedy: "see `state files`, and what the engine reads of it: pulumi stack -s local",
    });
  });
});
