import { macAddress } from "../../src/core/names.ts";
import { GiB } from "../../src/core/sizes.ts";
import type { DomainDevices } from "../../src/libvirt/domain-devices.ts";
import type { DomainFound, Inventory, PoolFound, VolumeFound } from "../../src/libvirt/inventory.ts";

/** Builders of what a look at a host finds, for tests; what is not said is as on a host that has a VM `webapp`. */

export const aDomain = (found: Partial<DomainFound> = {}): DomainFound => ({
  name: "project-webapp",
  uuid: "2b7d",
  state: "running",
  autostart: false,
  description: "project-vms stack storage",
  type: "kvm",
  memory: 8 * GiB,
  cpus: 4,
  firmware: "bios",
  network: "project-vms",
  marks: {},
  diskPaths: [],
  ...found,
});

/** The devices of a VM `webapp` in /vms, but for the file of one of its disks. */
export const devicesWith = (files: Record<string, string> = {}, chain: string[] = []): DomainDevices => ({
  disks: Object.entries({ vda: "/vms/webapp/disk.qcow2", vdb: "/vms/webapp/project.qcow2", ...files }).map(
    ([target, source]) => ({ target, source, format: "", chain: files[target] === undefined ? [] : chain }),
  ),
  nics: [{ mac: macAddress("webapp"), type: "network", on: "project-vms", filter: "project-webapp" }],
  others: [],
});

export const aVolume = (found: Partial<VolumeFound> = {}): VolumeFound => ({
  name: "project.qcow2",
  path: "/vms/webapp/project.qcow2",
  capacity: 50 * GiB,
  allocation: 3 * GiB,
  format: "qcow2",
  ...found,
});

export const aPool = (found: Partial<PoolFound> = {}): PoolFound => ({
  name: "project-webapp",
  uuid: "9e0f",
  type: "dir",
  path: "/vms/webapp",
  active: true,
  autostart: true,
  capacity: 500 * GiB,
  available: 400 * GiB,
  volumes: [],
  ...found,
});

export const anInventory = (found: Partial<Inventory> = {}): Inventory => ({
  uri: "qemu:///system",
  memory: 64 * GiB,
  cpus: 16,
  firmwares: ["bios", "uefi"],
  virtualization: "kvm",
  hypervisorVersion: "9.2.0",
  storage: undefined,
  pools: [],
  networks: [],
  domains: [],
  ...found,
});
