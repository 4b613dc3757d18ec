import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MiB } from "../../../src/core/sizes.ts";
import { headerLength, parseHeader } from "../../../src/images/qcow2.ts";
import { parseSnapshots } from "../../../src/project-disks/disk-image.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "disk-image-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const qemuImg = (...args: string[]) => execaSync("qemu-img", args, { cwd: dir });
const bytes = () => readFileSync(path.join(dir, "disk"));
const header = () => parseHeader(bytes().subarray(0, headerLength));

test.each([
  ["nothing", Buffer.alloc(0)],
  ["too little", Buffer.from("QFI\xfb", "latin1")],
  ["something else", Buffer.alloc(headerLength, "x")],
])("%s is no qcow2 image", (_, start) => {
  expect(parseHeader(start)).toBeUndefined();
});

describe.skipIf(!existsSync("/usr/bin/qemu-img"))("an image that qemu-img made", () => {
  test("has its size, and stands by itself", () => {
    qemuImg("create", "-q", "-f", "qcow2", "disk", "96M");
    expect(header()).toEqual({
      virtualSize: 96 * MiB,
      needsOtherFile: false,
      isEncrypted: false,
      isOldFormat: false,
      snapshots: { count: 0, offset: 0 },
    });
  });

  test("of the old version too", () => {
    qemuImg("create", "-q", "-f", "qcow2", "-o", "compat=0.10", "disk", "96M");
    expect(header()).toMatchObject({ virtualSize: 96 * MiB, needsOtherFile: false, isOldFormat: true });
  });

  test("on a backing file, or with its data in another file, needs that", () => {
    qemuImg("create", "-q", "-f", "qcow2", "base", "96M");
    qemuImg("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base", "disk");
    expect(header()).toMatchObject({ needsOtherFile: true });
    qemuImg("create", "-q", "-f", "qcow2", "-o", "data_file=data.raw", "disk", "96M");
    expect(header()).toMatchObject({ needsOtherFile: true });
  });

  test("that is encrypted says so", () => {
    qemuImg("create", "-q", "-f", "qcow2", "disk", "96M");
    const start = bytes().subarray(0, headerLength);
    // LUKS. To have qemu-img do it takes a second of work on a password.
    start.writeUInt32BE(2, 32);
    expect(parseHeader(start)).toMatchObject({ isEncrypted: true });
  });

  test("has its snapshots in their order, each with its time and the disk's size of then", () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    qemuImg("create", "-q", "-f", "qcow2", "disk", "64M");
    qemuImg("snapshot", "-c", "first", "disk");
    qemuImg("resize", "-q", "disk", "96M");
    qemuImg("snapshot", "-c", "a-name-of-another-length", "disk");
    qemuImg("resize", "-q", "disk", "128M");
    qemuImg("snapshot", "-c", "third", "disk");
    const { snapshots } = header() ?? { snapshots: { count: -1, offset: 0 } };
    const read = parseSnapshots(bytes().subarray(snapshots.offset), snapshots.count);
    expect(read?.map(({ name, diskSize }) => [name, diskSize])).toEqual([
      ["first", 64 * MiB],
      ["a-name-of-another-length", 96 * MiB],
      ["third", 128 * MiB],
    ]);
    for (const { created } of read ?? []) expect(created.getTime()).toBeGreaterThanOrEqual(before);
  });

  test("of the old version tells no sizes of then", () => {
    qemuImg("create", "-q", "-f", "qcow2", "-o", "compat=0.10", "disk", "64M");
    qemuImg("snapshot", "-c", "first", "disk");
    const { snapshots } = header() ?? { snapshots: { count: -1, offset: 0 } };
    expect(parseSnapshots(bytes().subarray(snapshots.offset), snapshots.count)).toMatchObject([{ name: "first" }]);
  });
});

describe("a table of snapshots", () => {
  const entry = (extraLength: number, name: string) => {
    const bytes = Buffer.alloc(72);
    bytes.writeUInt16BE(name.length, 14);
    bytes.writeUInt32BE(extraLength, 36);
    bytes.writeBigUInt64BE(2n ** 26n, 48);
    bytes.write(name, 40 + extraLength);
    return bytes;
  };
  const whole = entry(24, "a");

  test("of none is empty", () => {
    expect(parseSnapshots(Buffer.alloc(0), 0)).toEqual([]);
  });

  test.each([
    ["ends in an entry", Buffer.concat([whole, whole.subarray(0, 38)]), 2],
    ["ends in a name", whole.subarray(0, 64), 1],
    ["has fewer entries than there are", whole, 1_000_000],
    ["says of an entry that it is longer", Buffer.from(whole).fill(0xff, 36, 40), 1],
    ["is missing", Buffer.alloc(0), 1],
  ])("that %s is none", (_, table, count) => {
    expect(parseSnapshots(table, count)).toBeUndefined();
  });
});
