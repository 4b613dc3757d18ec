import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  closeBeforeUpdate,
  closeStorage,
  hasOpenVolumes,
  openStorage,
  qemuOwnsDisks,
} from "../../../host/closed-storage.ts";
import { shellFor } from "../../../host/shell.ts";
import { anInventory, aPool, aVolume } from "../found.ts";

const uri = "qemu:///system?socket=/nowhere";
const shell = shellFor(uri);
let dir: string;

beforeEach(() => {
  dir = path.join(mkdtempSync(path.join(tmpdir(), "closed-storage-")), "vms");
});
afterEach(() => rmSync(path.dirname(dir), { recursive: true }));

const modeOf = (name: string) => (statSync(path.join(dir, name)).mode & 0o7777).toString(8);

/** A file as it was made before they were closed. */
function make(name: string, mode = 0o644, folderMode = 0o711): void {
  const folder = path.dirname(path.join(dir, name));
  mkdirSync(folder, { recursive: true });
  for (let at = folder; at !== path.dirname(dir); at = path.dirname(at)) chmodSync(at, folderMode);
  writeFileSync(path.join(dir, name), "secret");
  chmodSync(path.join(dir, name), mode);
}

const pools = (mode?: number) => [
  aPool({ name: "project-vms-base", path: `${dir}/base` }),
  aPool({ path: `${dir}/webapp`, volumes: [aVolume(mode === undefined ? {} : { mode })] }),
  // One of a name that is not its folder's is somebody else's.
  aPool({ name: "project-other", path: `${dir}/stranger` }),
];
const inventory = (mode?: number) => anInventory({ pools: pools(mode) });

test("what is open is closed however much of it there is: a host elsewhere takes 128 KiB at a time", async () => {
  const lengths: number[] = [];
  const paths = Array.from({ length: 1001 }, (_, n) => `/vms/backups/${"x".repeat(200)}/${n}`);
  const closed: string[] = [];
  const run = async (words: string[]) => {
    lengths.push(words.join(" ").length);
    closed.push(...words.slice(3));
    return "";
  };
  await closeStorage({ uri, run } as unknown as typeof shell, { files: paths, folders: [] });
  expect(closed).toEqual(paths);
  expect(Math.max(...lengths)).toBeLessThan(2 ** 16);
});

describe("what others may read or list", () => {
  test("is all that an earlier version made, in pools, the base images' and the backups' folders", async () => {
    const all = ["webapp/project.qcow2", "webapp/seed.iso", "webapp.console/console.log", "base/image.qcow2"];
    for (const name of [...all, "backups/webapp/one.qcow2"]) make(name);
    const { files, folders } = await openStorage(shell, dir, inventory());
    expect(files.sort()).toEqual([...all, "backups/webapp/one.qcow2"].map((name) => path.join(dir, name)).sort());
    expect(folders).toEqual([]);
  });

  test.each([
    ["read by all", 0o604],
    ["written by all", 0o602],
    ["read by a group", 0o640],
    ["written by a group", 0o620],
    ["run", 0o601],
  ])("a file that may be %s is closed, and its owner keeps it", async (_, mode) => {
    make("webapp/a name with 'quotes' and $HOME", mode);
    make("webapp/project.qcow2", 0o600);
    const found = await openStorage(shell, dir, inventory());
    expect(found.files).toEqual([path.join(dir, "webapp/a name with 'quotes' and $HOME")]);
    await closeStorage(shell, found);
    expect(modeOf("webapp/a name with 'quotes' and $HOME")).toBe("600");
    expect(await openStorage(shell, dir, inventory())).toEqual({ files: [], folders: [] });
  });

  test("folders are closed to lists and stay passable", async () => {
    make("webapp/project.qcow2", 0o600, 0o755);
    make("backups/webapp/one.qcow2", 0o600, 0o755);
    const found = await openStorage(shell, dir, inventory());
    expect(found.folders.sort()).toEqual([dir, `${dir}/backups`, `${dir}/backups/webapp`, `${dir}/webapp`]);
    await closeStorage(shell, found);
    expect([".", "backups", "backups/webapp", "webapp"].map(modeOf)).toEqual(["711", "711", "711", "711"]);
  });

  test("what is not ours is left alone, and then the folder that it is in too", async () => {
    make("webapp/project.qcow2", 0o644, 0o755);
    make("stranger/notes", 0o644, 0o755);
    const found = await openStorage(shell, dir, inventory());
    expect(found).toEqual({ files: [`${dir}/webapp/project.qcow2`], folders: [`${dir}/webapp`] });
  });

  test("a kept disk whose pool is gone is seen all the same, but not one in the folder of another's pool", async () => {
    const kept = ["old/project.qcow2", "old/seed.iso", "old.console/console.log"];
    for (const name of [...kept, "stranger/project.qcow2", "theirs/disk.img"]) make(name);
    const { files } = await openStorage(shell, dir, inventory());
    expect(files.sort()).toEqual([...kept].sort().map((name) => path.join(dir, name)));
    expect((await openStorage(shell, dir, anInventory())).files).toContain(path.join(dir, "old/project.qcow2"));
  });

  test("no link is followed", async () => {
    make("webapp/project.qcow2", 0o600);
    mkdirSync(path.join(dir, "../elsewhere"));
    writeFileSync(path.join(dir, "../elsewhere/file"), "");
    symlinkSync("../elsewhere", path.join(dir, "backups"));
    symlinkSync("../../elsewhere/file", path.join(dir, "webapp/link"));
    expect(await openStorage(shell, dir, inventory())).toEqual({ files: [], folders: [] });
  });

  test("of a folder that is not there yet is nothing", async () => {
    expect(await openStorage(shell, dir, inventory())).toEqual({ files: [], folders: [] });
  });
});

test.each([
  [0o600, false],
  [0o644, true],
  [0o640, true],
  [undefined, false],
])("a volume of the mode %s is open: %s", (mode, open) => expect(hasOpenVolumes(inventory(mode))).toBe(open));

describe("before an update", () => {
  test("the folder for VMs is made closed", async () => {
    expect(await closeBeforeUpdate({ uri, storageDir: dir }, anInventory())).toBe(false);
    expect(modeOf(".")).toBe("711");
  });

  test("also under a umask of 077 QEMU gets through the folders that are made above it", async () => {
    const umask = process.umask(0o077);
    const storageDir = path.join(dir, "deep/vms");
    await closeBeforeUpdate({ uri, storageDir }, anInventory()).finally(() => process.umask(umask));
    expect(["deep/vms", "deep", "."].map(modeOf)).toEqual(["711", "755", "755"]);
  });

  test("disks that libvirt shows as open are closed with all beside them", async () => {
    make("webapp/project.qcow2");
    make("webapp/console.log");
    expect(await closeBeforeUpdate({ uri, storageDir: dir }, inventory(0o644))).toBe(false);
    expect(readdirSync(path.join(dir, "webapp")).map((name) => modeOf(`webapp/${name}`))).toEqual(["600", "600"]);
  });

  test("nothing is asked of a host whose disks are closed", async () => {
    const nowhere = "qemu+tcp://storage/system";
    expect(await closeBeforeUpdate({ uri: nowhere, storageDir: dir }, inventory(0o600))).toBe(false);
  });

  test("a host where no program can be run is updated all the same, and reported if its disks are open", async () => {
    const nowhere = "qemu+tcp://storage/system";
    expect(await closeBeforeUpdate({ uri: nowhere, storageDir: dir }, inventory(0o644))).toBe(true);
    expect(await closeBeforeUpdate({ uri: nowhere, storageDir: dir }, anInventory())).toBe(false);
  });
});

test.each([
  ["", true],
  ["#dynamic_ownership = 0\n", true],
  ["dynamic_ownership = 1\n", true],
  ["dynamic_ownership = 0\n", false],
  ['user = "libvirt-qemu"\n  dynamic_ownership=0\n', false],
  ['user = "root"\ndynamic_ownership = 0\n', true],
  ['user = "+0"\ndynamic_ownership = 0\n', true],
])("by the configuration %j QEMU gets at disks that are libvirt's alone: %s", async (config, owns) => {
  const file = path.join(path.dirname(dir), "qemu.conf");
  writeFileSync(file, config);
  const local = shellFor("qemu:///system");
  const reading = {
    uri: local.uri,
    run: (argv: string[]) => local.run(argv.map((word) => word.replace("/etc/libvirt/qemu.conf", file))),
  };
  expect(await qemuOwnsDisks(reading)).toBe(owns);
});
