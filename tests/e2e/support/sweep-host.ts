import { existsSync, lstatSync, readdirSync } from "node:fs";
import path from "node:path";
import { consoleFolder, domainName } from "../../../src/core/names.ts";
import { MiB } from "../../../src/core/sizes.ts";
import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";
import { type Inventory, takeInventory } from "../../../src/libvirt/inventory.ts";
import { imageSize, type Vm, type World, type Write } from "./data-model.ts";
import type { ImageConfig, ImageName } from "./sweep-config.ts";
import { diskFaults, writeMarks } from "./sweep-disks.ts";

export const fileOn = ({ storageDir }: EmbeddedHost, project: string, file: Write["file"]) =>
  path.join(storageDir, project, file);

/** Puts new marks on the disks, one process a disk. */
export async function markDisks(host: EmbeddedHost, writes: Write[]): Promise<void> {
  const files = [...new Set(writes.map(({ project, file }) => fileOn(host, project, file)))];
  const marksOf = (name: string) =>
    writes.filter(({ project, file }) => fileOn(host, project, file) === name).map(({ mark }) => mark);
  await Promise.all(files.map((name) => writeMarks(name, marksOf(name))));
}

/** All on a host that is not as the world says, a line each. */
export async function hostFaults(
  host: EmbeddedHost,
  world: World,
  images: Record<ImageName, ImageConfig>,
): Promise<string[]> {
  const inventory = await takeInventory({ ...host, virtualization: "emulated" });
  const disks = Object.entries(world.disks).map(([name, disk]) =>
    diskFaults(fileOn(host, name, "project.qcow2"), disk),
  );
  const roots = Object.entries(world.vms).map(([name, { root }]) => {
    const base = `debian-testing-${images[root.image].sha512.slice(0, 12)}.qcow2`;
    return diskFaults(fileOn(host, name, "disk.qcow2"), root, imageSize, base);
  });
  return [
    ...domainFaults(inventory, world),
    ...folderFaults(host, world),
    ...(await Promise.all([...disks, ...roots])).flat(),
  ];
}

function domainFaults({ domains, networks }: Inventory, { vms }: World): string[] {
  const wanted = Object.keys(vms).map(domainName);
  const differing = Object.entries(vms).flatMap(([name, vm]) => {
    const domain = domains.find((one) => one.name === domainName(name));
    if (!domain) return [];
    const { memory, cpus, autostart, marks, network } = domain;
    const cidr = networks.find((one) => one.name === network)?.cidr;
    const found = { memory: memory / MiB, cpus, cidr, autostart, keepData: marks.keepData };
    const keys = Object.keys(found) as (keyof typeof found & keyof Vm)[];
    return keys.flatMap((key) => (found[key] === vm[key] ? [] : [`${name}: ${key} is ${found[key]}, not ${vm[key]}`]));
  });
  const names = domains.map(({ name }) => name);
  return [...difference("domains", names, wanted), ...differing];
}

/** Folders of VMs and of kept disks, and nothing else; what goes with a VM is gone without it. */
function folderFaults({ storageDir }: EmbeddedHost, { vms, disks }: World): string[] {
  const folders = existsSync(storageDir) ? readdirSync(storageDir) : [];
  const kept = Object.keys(disks).filter((name) => !vms[name]);
  const consoles = Object.keys(vms).map(consoleFolder);
  return [
    ...difference("folders", folders, ["base", ...Object.keys(disks), ...consoles]),
    ...kept.flatMap((name) => {
      const folder = path.join(storageDir, name);
      return difference(folder, existsSync(folder) ? readdirSync(folder) : [], ["project.qcow2"]);
    }),
  ];
}

function difference(what: string, found: string[], wanted: string[]): string[] {
  const [is, shouldBe] = [found, wanted].map((names) => [...names].sort().join(" "));
  return is === shouldBe ? [] : [`${what}: ${is || "none"}; they should be: ${shouldBe || "none"}`];
}

/** What tells one state of a host's disks and definitions from another: each file with its size, time and inode. */
export type Snapshot = Record<string, string>;

export function snapshotOf({ dir, storageDir }: EmbeddedHost): Snapshot {
  const files = [storageDir, path.join(dir, "libvirt/etc")].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((file) => path.join(folder, file)),
  );
  const facts = files.map((file): [string, string] => {
    const { size, mtimeNs, ino } = lstatSync(file, { bigint: true });
    return [path.relative(dir, file), `${size} bytes of ${mtimeNs}, inode ${ino}`];
  });
  return Object.fromEntries(facts);
}

/** Those of some VMs' definitions that were rewritten between two snapshots. */
export function definedAnew(before: Snapshot, after: Snapshot, projects: string[]): string[] {
  const file = (project: string) => `libvirt/etc/qemu/${domainName(project)}.xml`;
  return projects.filter((project) => before[file(project)] !== after[file(project)]);
}
