import type { Outline, ProjectOutline } from "../../../src/checkout/outline.ts";
import { GiB } from "../../../src/core/sizes.ts";
import type { HostFound, VmFound } from "../../../src/operations/look-at-vms.ts";
import { anAddress } from "../guest/samples.ts";

/** Builders of what the daily verbs look at, for tests. */

export const aProject = (settings: Partial<ProjectOutline> = {}): ProjectOutline => ({
  memory: 8 * GiB,
  cpus: 4,
  disk: 50 * GiB,
  rootDisk: 20 * GiB,
  ...settings,
});

export const anOutline = (projects: Record<string, ProjectOutline> = { webapp: aProject() }): Outline => ({
  stack: "storage",
  root: "/checkout",
  file: "Pulumi.storage.yaml",
  host: {
    uri: "qemu:///system",
    storageDir: "/vms",
    network: { kind: "managed", name: "project-vms", cidr: "10.77.0.0/24" },
    virtualization: "auto",
  },
  projects,
});

export const aVm = (found: Partial<VmFound> = {}): VmFound => ({
  name: "webapp",
  stack: "storage",
  state: "running",
  memory: 8 * GiB,
  cpus: 4,
  disks: [
    { path: "/vms/webapp/disk.qcow2", size: 20 * GiB, used: 2 * GiB },
    { path: "/vms/webapp/project.qcow2", size: 50 * GiB, used: 3 * GiB },
  ],
  addresses: [anAddress("10.77.0.5")],
  ...found,
});

export const aHost = (found: Partial<HostFound> = {}): HostFound => ({ vms: [], disks: [], ...found });
