import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  closeBeforeUpdate,
  closeStorage,
  hasOpenVolumes,
  lookBeforeUpdate,
  openStorage,
  qemuOwnsDisks,
} from "../../../src/libvirt/closed-storage.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { lookAtStorage } from "../../../src/libvirt/storage-look.ts";
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

const backup = (project: string) => `backups/${project}/${project}-20260314T150926Z.qcow2`;
const image = "base/debian-testing-0123456789ab.qcow2";
const look = (found = inventory()) => openStorage(shell, dir, found);
const close = (found = inventory()) => closeStorage(shell, dir, found);
const nothing = { files: [], folders: [], changeable: [] };

describe("what others may read or list", () => {
  test("is all that an earlier version made, in pools, the base images' and the backups' folders", async () => {
    const ours = ["project.qcow2", "project.qcow2.restoring.first", "disk.qcow2", "seed.iso", "console.log.0"];
    const all = [...ours.map((name) => `webapp/${name}`), "webapp.console/console.log", image, `${image}.sha512`];
    all.push(backup("webapp"), `${backup("webapp")}.sha512`);
    for (const name of all) make(name);
    const { files, folders } = await look();
    expect(files.sort()).toEqual(all.map((name) => path.join(dir, name)).sort());
    expect(folders).toEqual([]);
  });

  test.each([
    ["read by all", 0o604],
    ["written by all", 0o602],
    ["read by a group", 0o640],
    ["written by a group", 0o620],
    ["run", 0o601],
  ])("a file that may be %s is closed, and its owner keeps it", async (_, mode) => {
    const name = "webapp/project.qcow2.restoring.a name with 'quotes' and $HOME";
    make(name, mode);
    make("webapp/project.qcow2", 0o600);
    expect((await look()).files).toEqual([path.join(dir, name)]);
    expect(await close()).toEqual([]);
    expect(modeOf(name)).toBe("600");
    expect(await look()).toEqual(nothing);
  });

  test("folders are closed to lists and stay passable", async () => {
    make("webapp/project.qcow2", 0o600, 0o755);
    make(backup("webapp"), 0o600, 0o755);
    const { folders } = await look();
    expect(folders.sort()).toEqual([dir, `${dir}/backups`, `${dir}/backups/webapp`, `${dir}/webapp`]);
    await close();
    expect([".", "backups", "backups/webapp", "webapp"].map(modeOf)).toEqual(["711", "711", "711", "711"]);
  });

  test("what a filesystem of its own has beside ours does not keep its folder open", async () => {
    make("webapp/project.qcow2", 0o600, 0o755);
    mkdirSync(path.join(dir, "lost+found"), { mode: 0o700 });
    expect((await look()).folders).toContain(dir);
  });

  test("what is not ours is left alone, and then the folder that it is in too", async () => {
    make("webapp/project.qcow2", 0o644, 0o755);
    make("stranger/notes", 0o644, 0o755);
    make(backup("webapp"), 0o644, 0o755);
    make("backups/site/site.tar", 0o644, 0o755);
    expect(await look()).toEqual({
      files: [`${dir}/webapp/project.qcow2`, path.join(dir, backup("webapp"))],
      folders: [`${dir}/webapp`, `${dir}/backups/webapp`],
      changeable: [],
    });
  });

  test("somebody's files in a folder that an earlier version made a pool of keep their rights", async () => {
    const theirs = ["webapp/index.html", "webapp/run.sh", "webapp/html/disk.qcow2", "webapp/disk.img", "base/notes"];
    for (const name of theirs) make(name, 0o755);
    make("webapp/disk.qcow2", 0o644);
    expect((await look()).files).toEqual([`${dir}/webapp/disk.qcow2`]);
    await close();
    expect(theirs.map(modeOf)).toEqual(theirs.map(() => "755"));
  });

  test("a kept disk whose pool is gone is seen all the same, but not one in the folder of another's pool", async () => {
    const kept = ["old/project.qcow2", "old/seed.iso", "old.console/console.log"];
    for (const name of [...kept, "stranger/project.qcow2", "theirs/disk.img"]) make(name);
    const { files } = await look();
    expect(files.sort()).toEqual([...kept].sort().map((name) => path.join(dir, name)));
    expect((await look(anInventory())).files).toContain(path.join(dir, "old/project.qcow2"));
  });

  test("no line break in a name leads elsewhere", async () => {
    const named = "webapp/project.qcow2\nf ..";
    for (const name of [named, "webapp/x\nf /etc", "w\nx/project.qcow2"]) make(name);
    expect((await look()).files).toEqual([path.join(dir, named)]);
    await close();
    expect([named, "w\nx/project.qcow2"].map(modeOf)).toEqual(["600", "644"]);
  });

  test("no link is followed, neither to a file nor to a folder", async () => {
    make("webapp/project.qcow2", 0o600);
    make("../elsewhere/project.qcow2", 0o644, 0o755);
    for (const name of ["backups", "webapp.console", "old"]) symlinkSync("../elsewhere", path.join(dir, name));
    symlinkSync("../../elsewhere/project.qcow2", path.join(dir, "webapp/disk.qcow2"));
    expect(await look()).toEqual(nothing);
    await close();
    expect(modeOf("../elsewhere/project.qcow2")).toBe("644");
    expect(modeOf("../elsewhere")).toBe("755");
  });

  test.each([
    ["that all may write to", () => chmodSync(path.join(dir, "webapp"), 0o777)],
    ["that a group may write to", () => chmodSync(path.join(dir, "webapp"), 0o771)],
    ["of another user's", () => chownSync(path.join(dir, "webapp"), 1234, 0)],
  ])("in a folder %s nothing is closed: a link could take a file's place", async (_, open) => {
    if (process.getuid?.() !== 0) return;
    make("webapp/project.qcow2");
    make(backup("webapp"));
    open();
    expect(await look()).toEqual({
      files: [path.join(dir, backup("webapp"))],
      folders: [],
      changeable: [`${dir}/webapp`],
    });
    expect(await close()).toEqual([`${dir}/webapp`]);
    expect([modeOf("webapp/project.qcow2"), modeOf(backup("webapp"))]).toEqual(["644", "600"]);
  });

  test("of a folder that is not there yet is nothing", async () => {
    expect(await look()).toEqual(nothing);
  });
});

test.each([
  [0o600, false],
  [0o644, true],
  [0o640, true],
  [undefined, false],
])("a volume of the mode %s is open: %s", (mode, open) => expect(hasOpenVolumes(inventory(mode))).toBe(open));

test("what is in a pool of ours and is not ours is no reason to run programs there", () => {
  const open = (name: string) => hasOpenVolumes({ pools: [aPool({ volumes: [aVolume({ name, mode: 0o644 })] })] });
  expect(["index.html", "disk.img", "seed.iso.txt"].map(open)).toEqual([false, false, false]);
  expect(["disk.qcow2", "seed.iso", path.basename(image)].map(open)).toEqual([true, true, true]);
});

describe("before an update", () => {
  const there = (storageDir = dir, at = uri) => ({ uri: at, storageDir });
  const seen = async (storageDir = dir) => lookAtStorage(shell, storageDir, []);

  test("the folder for VMs is made closed", async () => {
    expect(await closeBeforeUpdate(there(), anInventory(), await seen())).toBe(false);
    expect(modeOf(".")).toBe("711");
  });

  test("so it is where it could not be looked at before", async () => {
    expect(await closeBeforeUpdate(there(), anInventory(), undefined)).toBe(false);
    expect(modeOf(".")).toBe("711");
  });

  test("also under a umask of 077 QEMU gets through the folders that are made above it", async () => {
    const umask = process.umask(0o077);
    const storageDir = path.join(dir, "deep/vms");
    const found = await seen(storageDir);
    await closeBeforeUpdate(there(storageDir), anInventory(), found).finally(() => process.umask(umask));
    expect(["deep/vms", "deep", "."].map(modeOf)).toEqual(["711", "755", "755"]);
  });

  test.each([
    ["made by hand and empty", "", "711"],
    ["a filesystem of its own", "lost+found", "711"],
    ["in use", "notes", "755"],
  ])("one that is there, %s, has afterwards the rights that befit it", async (_, name, mode) => {
    mkdirSync(path.join(dir, name), { recursive: true });
    chmodSync(dir, 0o755);
    await closeBeforeUpdate(there(), anInventory(), await seen());
    expect(modeOf(".")).toBe(mode);
  });

  test.runIf(process.getuid?.() === 0)(
    "what another user has made there since it was looked at is refused",
    async () => {
      const found = await seen();
      mkdirSync(dir);
      chownSync(dir, 1234, 1234);
      await expect(closeBeforeUpdate(there(), anInventory(), found)).rejects.toThrow(
        `The folder for VMs is not used.\n  - ${dir}: must be made by this update, but another user of ${uri} has just made it\n    look at what it is and remove it, then run this again`,
      );
      rmSync(dir, { recursive: true });
      symlinkSync("/etc", dir);
      await expect(closeBeforeUpdate(there(), anInventory(), found)).rejects.toThrow("has just made it");
    },
  );

  test("what another update of the same user has made meanwhile is taken", async () => {
    const found = await seen();
    mkdirSync(dir, { mode: 0o755 });
    expect(await closeBeforeUpdate(there(), anInventory(), found)).toBe(false);
    expect(modeOf(".")).toBe("711");
  });

  test("disks that libvirt shows as open are closed with all beside them, and the folder for VMs stays as it is", async () => {
    make("webapp/project.qcow2", 0o644, 0o755);
    make("webapp/console.log", 0o644, 0o755);
    expect(await closeBeforeUpdate(there(), inventory(0o644), undefined)).toBe(false);
    expect(readdirSync(path.join(dir, "webapp")).map((name) => modeOf(`webapp/${name}`))).toEqual(["600", "600"]);
    expect(["webapp", "."].map(modeOf)).toEqual(["711", "755"]);
  });

  test("disks in a folder that others may change stay as they are, and that is reported", async () => {
    make("webapp/project.qcow2");
    chmodSync(path.join(dir, "webapp"), 0o777);
    expect(await closeBeforeUpdate(there(), inventory(0o644), undefined)).toBe(true);
  });

  const nowhere = "qemu+tcp://storage/system";

  test("nothing is asked of a host whose disks are closed, and whose libvirt has all pools", async () => {
    expect(await closeBeforeUpdate(there(dir, nowhere), inventory(0o600), undefined)).toBe(false);
    expect(await lookBeforeUpdate(there(dir, nowhere), [])).toBeUndefined();
  });

  test("a host where no program can be run is updated all the same, and reported", async () => {
    expect(await closeBeforeUpdate(there(dir, nowhere), inventory(0o644), undefined)).toBe(true);
    expect(await closeBeforeUpdate(there(dir, nowhere), anInventory(), undefined)).toBe(false);
    expect(await lookBeforeUpdate(there(dir, nowhere), ["webapp"])).toBe(
      'host.uri: must lead to the host by ssh, for its disks are worked on there, but is "qemu+tcp://storage/system"',
    );
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
