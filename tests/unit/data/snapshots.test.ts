import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSnapshot, deleteSnapshot, restoreSnapshot } from "../../../data/snapshots.ts";

let dir: string;
let disk: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "snapshots-"));
  disk = path.join(dir, "vms/myapp/project.qcow2");
  mkdirSync(path.dirname(disk), { recursive: true });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A host by libvirt's own mock, whose VM `myapp` is off and has that file as its second disk. */
function hostWith(file: string) {
  const device = `<disk type='file' device='disk'><source file='${file}'/><target dev='vdb' bus='virtio'/></disk>`;
  const isOff = "<test:runstate>5</test:runstate>";
  const domain = `<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>project-myapp</name><memory>1024</memory><os><type>hvm</type></os><devices>${device}</devices>${isOff}</domain>`;
  writeFileSync(path.join(dir, "node.xml"), `<node>${domain}</node>`);
  return { uri: `test://${dir}/node.xml`, storageDir: path.join(dir, "vms") };
}
const log = () => {};

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

  test("that is its own is", async () => {
    const host = hostWith(disk);
    await expect(createSnapshot(host, "myapp", "now", log)).resolves.toMatchObject({ name: "now" });
    await expect(deleteSnapshot(host, "myapp", "before", log)).resolves.toBeUndefined();
  });
});
