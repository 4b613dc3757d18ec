import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MiB } from "../../../src/core/sizes.ts";
import { parseHeader, readStart } from "../../../src/images/qcow2.ts";
import { createBackup } from "../../../src/project-disks/backup.ts";
import {
  createSnapshot,
  deleteSnapshot,
  listSnapshots,
  restoreSnapshot,
} from "../../../src/project-disks/snapshots.ts";

let dir: string;
let disk: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "snapshots-"));
  disk = path.join(dir, "vms/myapp/project.qcow2");
  mkdirSync(path.dirname(disk), { recursive: true });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A host by libvirt's own mock, whose VM `myapp` is off and has that file as its second disk; and a domain with another file. */
function hostWith(file: string, others?: string) {
  const isOff = "<test:runstate>5</test:runstate>";
  const domain = (name: string, disk: string) => {
    const device = `<disk type='file' device='disk'><driver type='qcow2'/><source file='${disk}'/><target dev='vdb' bus='virtio'/></disk>`;
    return `<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>${name}</name><memory>1024</memory><os><type>hvm</type></os><devices>${device}</devices>${isOff}</domain>`;
  };
  const domains = [domain("project-myapp", file), ...(others ? [domain("rescue", others)] : [])].join("");
  writeFileSync(path.join(dir, "node.xml"), `<node>${domains}</node>`);
  return { uri: `test://${dir}/node.xml`, storageDir: path.join(dir, "vms") };
}
const log = () => {};

/** Has a snapshot's entry in the image's table say another size. */
function forgeSize(name: string, size: bigint): void {
  const image = readFileSync(disk);
  const found = image.indexOf(name, Number(image.readBigUInt64BE(64)));
  // 40 bytes, then how much memory was saved, the size, and the id of one digit.
  image.writeBigUInt64BE(size, found - 1 - 16);
  writeFileSync(disk, image);
}
const sizeNow = () => parseHeader(readStart(disk))?.virtualSize;
const qemuImg = (...args: string[]) => execaSync("qemu-img", args);

describe.skipIf(!["virsh", "qemu-img"].every((name) => existsSync(`/usr/bin/${name}`)))("the disk of a VM", () => {
  beforeEach(() => {
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "64M"]);
    execaSync("qemu-img", ["snapshot", "-c", "before", disk]);
  });

  test("that stands under an overlay is not worked on: the overlay would no longer fit it", async () => {
    const host = hostWith(path.join(dir, "vms/myapp/project.s1"));
    const before = readFileSync(disk);
    const refusal = `project-myapp: must have ${disk} as vdb, but has ${dir}/vms/myapp/project.s1`;
    await expect(restoreSnapshot(host, "myapp", "before", log)).rejects.toThrow(refusal);
    await expect(createSnapshot(host, "myapp", "now", log)).rejects.toThrow(refusal);
    await expect(deleteSnapshot(host, "myapp", "before", log)).rejects.toThrow(refusal);
    expect(readFileSync(disk).equals(before)).toBe(true);
  });

  test("that another domain's image stands on, by whatever path, is not restored beneath it", async () => {
    const link = path.join(dir, "link");
    symlinkSync(path.dirname(disk), link);
    const overlay = path.join(dir, "overlay.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", `${link}/project.qcow2`, overlay]);
    const host = hostWith(disk, overlay);
    const before = readFileSync(disk);
    await expect(restoreSnapshot(host, "myapp", "before", log)).rejects.toThrow(
      `The snapshot was not restored.\n  - ${disk}: must not be used by anything else, but ${overlay} stands on it\n    take it from that domain; remove an image that stands on it, or have its owner copy that elsewhere first: sudo -u <owner> qemu-img convert -O qcow2`,
    );
    expect(readFileSync(disk).equals(before)).toBe(true);
  });

  test("that is its own is", async () => {
    const host = hostWith(disk);
    await expect(createSnapshot(host, "myapp", "now", log)).resolves.toMatchObject({ name: "now" });
    await expect(deleteSnapshot(host, "myapp", "before", log)).resolves.toBeUndefined();
  });

  test("that has more snapshots than are read of it is backed up all the same", async () => {
    const image = readFileSync(disk);
    const at = Number(image.readBigUInt64BE(64));
    const [start, name] = [image.subarray(at, at + 40), "1before"];
    // Each as long as QEMU takes it: 1 KiB of what a later version may know more of it.
    const entry = Buffer.concat([start, image.subarray(at + 40, at + 64), Buffer.alloc(1000), Buffer.from(name)]);
    entry.writeUInt32BE(1024, 36);
    const count = 500;
    const table = Buffer.concat(
      Array.from({ length: count }, () => Buffer.concat([entry], Math.ceil(entry.length / 8) * 8)),
    );
    const end = Math.ceil(image.length / 65536) * 65536;
    image.writeUInt32BE(count, 60);
    image.writeBigUInt64BE(BigInt(end), 64);
    writeFileSync(disk, Buffer.concat([Buffer.concat([image], end), table]));
    const host = hostWith(disk);
    await expect(listSnapshots(host, "myapp")).rejects.toThrow(
      `The snapshots of the project disk cannot be read.\n  - ${disk}: must have them whole in the first 512 KiB of their table\n    look at it by hand: qemu-img check; where it is whole, it has too many: qemu-img snapshot -d`,
    );
    expect(await createBackup(host, "myapp", {}, log)).toMatchObject({ name: expect.stringMatching(/^myapp-/) });
  });

  describe("that is brought back to a snapshot", () => {
    const tooBig = 0x7fff_ffff_ffff_0000n;

    test("keeps its size, whatever the image says of other snapshots", async () => {
      qemuImg("snapshot", "-c", "other", disk);
      forgeSize("other", tooBig);
      const before = await restoreSnapshot(hostWith(disk), "myapp", "before", log);
      expect(before).toMatch(/^before-restore-/);
      expect(sizeNow()).toBe(64 * MiB);
      expect(readdirSync(path.dirname(disk))).toEqual(["project.qcow2"]);
    });

    test("has the size again that it had before a restore that was cut off", async () => {
      qemuImg("resize", "-q", disk, "96M");
      qemuImg("snapshot", "-c", "before-restore-1", disk);
      qemuImg("snapshot", "-a", "before", disk);
      writeFileSync(`${disk}.restoring.before`, "before-restore-1\nautostart\n");
      await restoreSnapshot(hostWith(disk), "myapp", "before", log);
      expect(sizeNow()).toBe(96 * MiB);
    });

    test("whose restore was cut off and whose snapshot is gone has a way out that the error names", {
      timeout: 60_000,
    }, async () => {
      qemuImg("resize", "-q", disk, "96M");
      writeFileSync(`${disk}.restoring.gone`, "before-restore-1\n");
      const host = hostWith(disk);
      const refusal = (title: string, remedy: string) =>
        `${title}\n  - ${disk}: must first be restored to another snapshot: its restore to gone was cut off, that snapshot is gone, and what the disk holds may be half of two states\n    ${remedy}; or bring it back to any other one: project-vm snapshot list myapp`;
      const toBefore = "bring it back to what it held before: project-vm snapshot restore myapp before-restore-1";
      await expect(createSnapshot(host, "myapp", "new", log)).rejects.toThrow(
        refusal(
          "The snapshot was not created.",
          "have what it holds kept as a snapshot: project-vm snapshot restore myapp gone",
        ),
      );
      await expect(restoreSnapshot(host, "myapp", "gone", log)).rejects.toThrow(
        refusal("The snapshot was not restored.", toBefore),
      );
      const kept = readFileSync(disk);
      await expect(restoreSnapshot(host, "myapp", "gone", log)).rejects.toThrow(
        refusal("The project disk is not changed.", toBefore),
      );
      await expect(restoreSnapshot(host, "myapp", "neither", log)).rejects.toThrow("There is no such snapshot.");
      expect(readFileSync(disk).equals(kept)).toBe(true);
      qemuImg("snapshot", "-a", "before", disk);
      await restoreSnapshot(host, "myapp", "before", log);
      expect([sizeNow(), readdirSync(path.dirname(disk))]).toEqual([96 * MiB, ["project.qcow2"]]);
    });

    test.each([tooBig, 2n ** 51n + 512n, 100n])("that says %d bytes stays as it is", async (size) => {
      forgeSize("before", size);
      const image = readFileSync(disk);
      await expect(restoreSnapshot(hostWith(disk), "myapp", "before", log)).rejects.toThrow(
        `The snapshot was not restored.\n  - ${disk}: snapshot before: must be of a size that a disk can have, in whole sectors of 512 bytes up to 2048 TiB, but is ${Number(size)}\n    go back to a backup: docs/data.md`,
      );
      expect(readFileSync(disk).equals(image)).toBe(true);
      expect(readdirSync(path.dirname(disk))).toEqual(["project.qcow2"]);
    });

    test("stays as it is where the snapshot of the state before says so", async () => {
      qemuImg("snapshot", "-c", "before-restore-1", disk);
      forgeSize("before-restore-1", tooBig);
      writeFileSync(`${disk}.restoring.before`, "before-restore-1\n");
      await expect(restoreSnapshot(hostWith(disk), "myapp", "before", log)).rejects.toThrow(
        "snapshot before-restore-1: must be of a size",
      );
    });
  });
});
