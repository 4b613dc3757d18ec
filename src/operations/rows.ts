import type { Outline, ProjectOutline } from "../checkout/outline.ts";
import type { GuestAddress } from "../core/guest-values.ts";
import { ownValue } from "../core/own-value.ts";
import type { SshTarget } from "../guest/ssh-target.ts";
import { type BackupAge, type BackupsFound, backupAge } from "../project-disks/backup-age.ts";
import type { DomainState } from "./domstats.ts";
import type { DiskFound, HostFound, VmFound } from "./look-at-vms.ts";

/** A VM as `project-vm list --json` prints it. Keys may be added; none is renamed or taken away. Sizes in bytes. */
export interface VmRow {
  stack: string;
  name: string;
  state: RowState;
  /** Whether the stack's config has it; the next update takes away a VM that it has not. */
  inConfig: boolean;
  /** Null where there is no VM and none is to be. */
  memory: number | null;
  cpus: number | null;
  /** The project disk: what it may grow to, and what it takes up on the host; null where a VM has none now, and of another's. */
  disk: { size: number; used: number } | null;
  /** IPv4 first; empty while it is off. */
  addresses: string[];
  /** Null where the config wants no backups made by themselves. */
  backup: BackupAge | null;
}

/**
 * How a VM is. `not made`: in the config, and the next update makes it. `missing`: the state has it and the host has not.
 * `foreign`: another's VM has its name. `kept disk`: no project, but its disk is there.
 */
export type RowState = DomainState | "not made" | "missing" | "foreign" | "kept disk";

/** What of a stack's VMs is known beside its host. */
export interface KnownOfStack {
  /** Names of the projects whose VMs the stack's state has. */
  inState: string[];
  backups: BackupsFound | undefined;
  /** What the stack's files for SSH clients were made from. */
  targets: Pick<SshTarget, "name" | "addresses">[];
}

/** All projects of a stack's config and of its host, by name. */
export function vmRows(
  { stack, projects }: Outline,
  { vms: found, disks }: HostFound,
  { inState, backups, targets }: KnownOfStack,
): VmRow[] {
  const vms = found.map((vm) => ({ ...vm, addresses: addressesOf(vm, targets) }));
  const leftovers = vms.filter((vm) => vm.stack === stack && !ownValue(projects, vm.name));
  const kept = disks.filter(({ name }) => !ownValue(projects, name));
  return [
    ...Object.entries(projects).map(([name, project]) => {
      const vm = vms.find((one) => one.name === name);
      const backup = backupOf(name, project, backups);
      if (vm) return vmRow(stack, vm, true, backup);
      const disk = disks.find((one) => one.name === name);
      return unmadeRow({ stack, name, state: inState.includes(name) ? "missing" : "not made", backup }, project, disk);
    }),
    ...leftovers.map((vm) => vmRow(stack, vm, false, null)),
    ...kept.map((disk) => keptRow(stack, disk)),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A VM's project disk; undefined: it has none now. */
export const projectDiskOf = (vm: Pick<VmFound, "disks" | "state">) => diskOf(vm, "project.qcow2", "vdb");

/** A disk of a VM, which is told by its file's name or, on an overlay over that, by its place. An empty drive is none. */
export function diskOf({ disks, state }: Pick<VmFound, "disks" | "state">, file: string, place: string) {
  const found = disks.find(({ path }) => path.endsWith(`/${file}`)) ?? disks.find(({ target }) => target === place);
  // While a domain is off, libvirt does not say where a disk is that its definition names as a volume.
  return found?.path === "" && state !== "shut off" ? undefined : found;
}

/** A running VM without a lease: its address, if it has one, is none of libvirt's. */
export const hasNoLease = ({ state, addresses }: VmFound) => state === "running" && addresses.length === 0;

/** Where a VM is; on a bridge of the host's own, where SSH found it last. A lease outlives the guest that had it. */
export function addressesOf(vm: VmFound, targets: KnownOfStack["targets"]): GuestAddress[] {
  if (!hasNoLease(vm)) return vm.state === "running" ? vm.addresses : [];
  return targets.find(({ name }) => name === vm.name)?.addresses.slice(0, 1) ?? [];
}

/** The backups of a project, as far as its config wants them. */
export const backupOf = (name: string, { backup }: Pick<ProjectOutline, "backup">, found: BackupsFound | undefined) =>
  backup ? backupAge(name, backup.every, found) : null;

function vmRow(stack: string, vm: VmFound, inConfig: boolean, backup: BackupAge | null): VmRow {
  const { name, memory, cpus, addresses } = vm;
  if (vm.stack !== stack) {
    const unknown = { memory: null, cpus: null, disk: null, addresses: [], backup: null };
    return { stack, name, state: "foreign", inConfig, ...unknown };
  }
  const disk = projectDiskOf(vm);
  return {
    stack,
    name,
    state: vm.state,
    inConfig,
    memory,
    cpus,
    disk: disk ? { size: disk.size, used: disk.used } : null,
    addresses,
    backup,
  };
}

function unmadeRow(
  row: Pick<VmRow, "stack" | "name" | "state" | "backup">,
  { memory, cpus, disk }: ProjectOutline,
  kept: DiskFound | undefined,
): VmRow {
  const size = { size: kept?.size ?? disk, used: kept?.used ?? 0 };
  return { ...row, inConfig: true, memory, cpus, disk: size, addresses: [] };
}

function keptRow(stack: string, { name, size, used }: DiskFound): VmRow {
  const disk = { size, used };
  const none = { memory: null, cpus: null, addresses: [], backup: null };
  return { stack, name, state: "kept disk", inConfig: false, disk, ...none };
}
