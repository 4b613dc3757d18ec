import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { hostFolders, hostThings, isInUse } from "../../ci/hosts.ts";
import type { Seen } from "../../ci/processes.ts";

let root: string;
const dirOf = (name: string) => path.join(root, name);
const checkouts = { folders: ["/work/vms", "/tmp/e2e"], made: ["/tmp/e2e"] };

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "hosts-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const hosts = { "a-1": "/tmp/e2e/a", "b-2": "/work/vms2", "c-3": "/work/vms" };
  for (const [name, checkout] of Object.entries(hosts)) {
    mkdirSync(path.join(dirOf(name), "vms"), { recursive: true });
    writeFileSync(path.join(dirOf(name), "checkout"), `${checkout}\n`);
  }
  for (const name of ["odd", "b-2.lock"]) mkdirSync(dirOf(name));
});

test("whose a host is follows from the checkout that it names, not from when it was made", () => {
  expect(Object.fromEntries(hostFolders(checkouts, root))).toEqual({
    [dirOf("a-1")]: "run",
    [dirOf("b-2")]: "other",
    [dirOf("b-2.lock")]: "other",
    [dirOf("c-3")]: "by time",
    [dirOf("odd")]: "by time",
  });
});

test("one that an earlier run of the same checkout left is another once something in it is, another checkout's is not", () => {
  const before = hostThings(checkouts, root);
  expect(hostThings(checkouts, root)).toEqual(before);
  for (const name of ["a-1", "b-2"]) writeFileSync(path.join(dirOf(name), "vms/disk"), "");
  const after = hostThings(checkouts, root);
  expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual([dirOf("a-1")]);
});

test("it is in use by a process that is told of it", () => {
  const seen = (...words: string[]): Seen[] => [
    { pid: 9, parent: 1, started: "1", environment: [], words, folder: "/", executable: "/bin/x" },
  ];
  expect(isInUse("/h/a-1", seen("qemu", "file=/h/a-1/vms/disk"))).toBe(true);
  expect(isInUse("/h/a-1", seen("qemu", "uplink of /h/a-1"))).toBe(true);
  expect(isInUse("/h/a-1", seen("qemu", "/h/a-12/vms"))).toBe(false);
});
