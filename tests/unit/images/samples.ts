import type { BaseImage, UsageInventory } from "../../../src/images/usage.ts";
import type { PoolFound, VolumeFound } from "../../../src/libvirt/inventory.ts";

/** Builders for the tests of base images, on a host whose storageDir is /vms. */

/** The name of a base image whose digest is all one digit. */
export const named = (digit: string) => `debian-testing-${digit.repeat(12)}.qcow2`;

export const baseFile = (name: string, modified?: number): VolumeFound => ({
  name,
  path: `/vms/base/${name}`,
  capacity: 4096,
  allocation: 512,
  format: "qcow2",
  ...(modified === undefined ? {} : { modified }),
});

/** A volume at a path, on a base image by its name or on any file by its path. */
export const overlay = (path: string, base: string): VolumeFound => ({
  ...baseFile(path.slice(path.lastIndexOf("/") + 1)),
  path,
  backingPath: base.startsWith("/") ? base : `/vms/base/${base}`,
});

export const basePool = (...volumes: VolumeFound[]): PoolFound => ({
  ...projectPool("base", ...volumes),
  name: "project-vms-base",
});

export const projectPool = (project: string, ...volumes: VolumeFound[]): PoolFound => ({
  name: `project-${project}`,
  uuid: project,
  type: "dir",
  path: `/vms/${project}`,
  active: true,
  autostart: true,
  capacity: 1e12,
  available: 1e11,
  volumes,
});

/** What an inventory says of pools and of the disks of domains. */
export function found(pools: PoolFound[], disks: { name: string; diskPaths: string[] }[] = []): UsageInventory {
  const asked = { autostart: false, type: "qemu", memory: 0, cpus: 1, firmware: "bios" as const };
  const domain = { ...asked, uuid: "", state: "shut off", marks: {} };
  return { pools, domains: disks.map((one) => ({ ...domain, ...one })) };
}

/** A base image that nothing stands on. */
export const baseImage = (name: string, differs: Partial<BaseImage> = {}): BaseImage => ({
  name,
  path: `/vms/base/${name}`,
  capacity: 4096,
  allocation: 512,
  marker: { path: `/vms/base/${name}.sha512` },
  projects: [],
  others: [],
  domains: [],
  ...differs,
});
