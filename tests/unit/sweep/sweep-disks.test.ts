import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { emptyWorld, foresee, withMarks } from "../../e2e/support/data-model.ts";
import { firstConfig } from "../../e2e/support/sweep-config.ts";
import { diskFaults, makeImages, writeMarks } from "../../e2e/support/sweep-disks.ts";

const MiB = 2 ** 20;
const { world, writes } = withMarks(foresee(emptyWorld(firstConfig), { ...firstConfig, projects: { app: {} } }).world);
const disk = world.disks.app ?? expect.unreachable();
const root = world.vms.app?.root ?? expect.unreachable();
let dir: string;
let file: string;

const make = (...args: string[]) => execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...args]);
const write = (...commands: string[]) => execaSync("qemu-io", [...commands.flatMap((one) => ["-c", one]), file]);
const marksFor = (name: string) => writes.filter((one) => one.file === name).map(({ mark }) => mark);

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sweep-disks-"));
  file = path.join(dir, "project.qcow2");
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("a project disk", () => {
  beforeEach(async () => {
    makeImages(dir);
    make(file, `${disk.size}M`);
    await writeMarks(file, marksFor("project.qcow2"));
  });

  test("that is as it was left is right", async () => {
    expect(await diskFaults(file, disk)).toEqual([]);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["recreated", () => make(file, `${disk.size}M`), /Pattern verification failed at offset 0,/],
    ["with one byte of a mark changed", () => write("write -P 0 4096 1"), /Pattern verification failed at offset 0,/],
    ["with a byte where nothing was", () => write(`write -P 1 ${40 * MiB} 1`), /Pattern verification failed/],
    ["grown", () => execaSync("qemu-img", ["resize", "-q", file, "128M"]), /has 128 MiB, not 96/],
    ["shrunk", () => execaSync("qemu-img", ["resize", "-q", "--shrink", file, "64M"]), /has 64 MiB, not 96/],
    ["gone", () => rmSync(file), /No such file/],
    ["no qcow2", () => execaSync("qemu-img", ["create", "-q", "-f", "raw", file, "96M"]), /is raw, not qcow2/],
    ["with a backing file", () => make("-b", path.join(dir, "a.qcow2"), "-F", "qcow2", file, "96M"), /stands on a/],
  ])("that is %s is found out", async (_, change, fault) => {
    change();
    expect((await diskFaults(file, disk)).join("\n")).toMatch(fault);
  });

  test("is not what a wrong model says: another disk's marks, or another size", async () => {
    const wrong = disk.marks.map((mark) => ({ ...mark, byte: mark.byte + 1 }));
    expect(await diskFaults(file, { ...disk, marks: wrong })).not.toEqual([]);
    expect(await diskFaults(file, { ...disk, size: disk.size + 16 })).not.toEqual([]);
  });
});

test("a root disk is right on its own base image with its own marks, and on no other", async () => {
  makeImages(dir);
  const overlay = (base: string) => make("-b", path.join(dir, base), "-F", "qcow2", file, `${root.size}M`);
  overlay("a.qcow2");
  await writeMarks(file, marksFor("disk.qcow2"));
  expect(await diskFaults(file, root, 16, "a.qcow2")).toEqual([]);
  expect(await diskFaults(file, root, 16, "b.qcow2")).toEqual([`${file}: stands on a.qcow2, not on b.qcow2`]);
  overlay("a.qcow2");
  expect((await diskFaults(file, root, 16, "a.qcow2")).join()).toMatch(/Pattern verification failed/);
  overlay("b.qcow2");
  await writeMarks(file, marksFor("disk.qcow2"));
  expect((await diskFaults(file, root, 16, "b.qcow2")).join()).toMatch(/Pattern verification failed at offset 0,/);
});
