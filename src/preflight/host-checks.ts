import type { HostSettings, Source, StackConfig, VmSettings } from "../config/settings.ts";
import { formatPath, type Issue } from "../core/errors.ts";
import type { NameBefore } from "../core/names.ts";
import { poolName } from "../core/names.ts";
import { formatSize, GiB, sizeAtMost } from "../core/sizes.ts";
import type { Inventory } from "../libvirt/inventory.ts";
import { findProject } from "../lifecycle/plan.ts";
import { baseImageIssues } from "./base-image-checks.ts";
import { diskIssues, poolsToStart } from "./disk-checks.ts";
import type { HostCheck } from "./host-check.ts";
import {
  copies,
  filterIssues,
  foreignDomains,
  foreignPools,
  networkIssues,
  renamedIssues,
  stackNameIssues,
  stoppedNetworks,
} from "./host-owners.ts";

/** Space that must be free on the host before something new is put there: an image and the first steps of a VM. */
const leastFree = 2 * GiB;

/**
 * What of a config cannot be had on its host: more than the host has, names that belong to somebody else, a folder that
 * cannot be used. Pure: all that is known of the host comes from the inventory.
 *
 * @param owner the stack's name, from which its marks on the host derive (`ownerMark`, `networkDomain`)
 * @param before what the stack's state tells of a name that it had before
 * @returns errors that must stop the update before anything is made, apart from them those that a
 *   start of a pool mends, and warnings that need not
 */
export function checkAgainstHost(
  config: StackConfig,
  host: HostSettings,
  inventory: Inventory,
  owner: string,
  file: string,
  before: NameBefore = {},
): { errors: Issue[]; pools: Issue[]; warnings: string[] } {
  const check: HostCheck = { config, host, inventory, stack: owner, ...before, file };
  return {
    errors: [
      ...virtualizationIssues(check),
      ...firmwareIssues(check),
      ...storageIssues(check),
      ...stackNameIssues(check),
      ...renamedIssues(check),
      ...networkIssues(check),
      ...filterIssues(check),
      ...foreignPools(check),
      ...foreignDomains(check),
      ...diskIssues(check),
      ...baseImageIssues(check),
      ...capacityIssues(check),
    ],
    pools: poolsToStart(check),
    warnings: [...stoppedNetworks(check), ...copies(check), ...overcommitment(check)],
  };
}

function virtualizationIssues({ host, inventory, file }: HostCheck): Issue[] {
  if (host.virtualization !== "kvm" || inventory.virtualization === "kvm") return [];
  const path = formatPath(file, ["host", "virtualization"]);
  const rule = `must be something that ${inventory.uri} can do: KVM does not work there`;
  return [{ path, rule, value: host.virtualization, remedy: "write `auto` or `emulated`, or make /dev/kvm work" }];
}

/** Once for all projects that have it from the same place. */
function firmwareIssues({ config, inventory, file }: HostCheck): Issue[] {
  const { firmwares, uri } = inventory;
  const firmware = (name: string) => config.projects[name]?.firmware ?? "bios";
  const names = Object.keys(config.projects).filter((name) => !firmwares.includes(firmware(name)));
  const rule = `must be something that ${uri} can do: it has no firmware for UEFI`;
  const remedy = "install Debian's package `ovmf` there, or write `bios`";
  return bySource(config, names, "firmware").map(({ source, first }) => {
    const keys = source === "project" ? ["projects", first, "firmware"] : ["defaults", "firmware"];
    return { path: formatPath(file, keys), rule, value: firmware(first), remedy };
  });
}

function storageIssues({ config, host, inventory, file }: HostCheck): Issue[] {
  const { storage, pools } = inventory;
  if (!storage) return [];
  const path = formatPath(file, ["host", "storageDir"]);
  if (storage.problem !== undefined || !storage.writable) {
    const rule = `must be writable on the host (${storage.problem ?? "no permission to write"})`;
    return [
      { path, rule, value: host.storageDir, remedy: "make it writable for libvirt there, or name another folder" },
    ];
  }
  const isNew = (name: string) => !pools.some((pool) => pool.name === poolName(name) && pool.volumes.length > 0);
  const needy = Object.entries(config.projects).filter(([name, vm]) => isNew(name) || grows(inventory, host, name, vm));
  if (needy.length === 0 || storage.available >= leastFree) return [];
  const free = `${formatSize(storage.available)} of ${formatSize(storage.capacity)}`;
  const names = listed(needy.map(([name]) => name));
  const rule = `must have ${formatSize(leastFree)} free for ${names}, but is full: ${free} are free`;
  return [{ path, rule, remedy: `free space in ${host.storageDir}, or name a folder on another filesystem` }];
}

/** A disk that grows takes up space for its filesystem's own records at once, and a full host pauses the guest in it. */
function grows(inventory: Inventory, { storageDir }: HostSettings, name: string, vm: VmSettings): boolean {
  const { projectDisk, rootDisk } = findProject(inventory, storageDir, name);
  return vm.disk > (projectDisk?.capacity ?? vm.disk) || vm.rootDisk > (rootDisk?.capacity ?? vm.rootDisk);
}

/** Something that a host has only so much of. */
interface Figure {
  key: "memory" | "cpus" | "disk" | "rootDisk";
  has: number;
  /** Where the host has it. */
  where: string;
  write: (amount: number) => string;
  /** The most that can be asked for, as it would be written. */
  most: string;
}

function figuresOf({ host, inventory }: HostCheck): Figure[] {
  const { memory, cpus, storage, uri } = inventory;
  const size = (key: Figure["key"], has: number, where: string) => ({
    key,
    has,
    where,
    write: formatSize,
    most: sizeAtMost(has),
  });
  const disk = (key: "disk" | "rootDisk") =>
    storage ? [size(key, storage.capacity, `${host.storageDir} on ${uri}`)] : [];
  const cpu = { key: "cpus" as const, has: cpus, where: uri, write: String, most: String(cpus) };
  return [size("memory", memory, uri), cpu, ...disk("disk"), ...disk("rootDisk")];
}

function capacityIssues(check: HostCheck): Issue[] {
  return figuresOf(check).flatMap((figure) => tooMuch(check, figure));
}

/** One issue for each project that asks for too much itself, and one for all that have it from the same default. */
function tooMuch({ config, file }: HostCheck, { key, has, where, write, most }: Figure): Issue[] {
  const asked = (name: string) => config.projects[name]?.[key] ?? 0;
  const names = Object.keys(config.projects).filter((name) => asked(name) > has);
  const rule = `must be at most ${write(has)}, which is all that ${where} has`;
  return bySource(config, names, key).map(({ source, first, names: group }) => {
    const value = key === "cpus" ? asked(first) : write(asked(first));
    if (source === "project") {
      return { path: formatPath(file, ["projects", first, key]), rule, value, remedy: `write at most \`${most}\`` };
    }
    const origin = source === "built-in" ? "built in, " : "";
    const path = `${formatPath(file, ["defaults", key])} (${origin}used by ${listed(group)})`;
    return { path, rule, value, remedy: `write at most \`${most}\`, there or in the project's own entry` };
  });
}

function bySource(config: StackConfig, names: string[], key: keyof VmSettings) {
  const groups = new Map<string, { source: Source; first: string; names: string[] }>();
  for (const name of names) {
    const source = config.sources[name]?.[key] ?? "project";
    const group = source === "project" ? `projects.${name}` : source;
    const members = groups.get(group)?.names ?? [];
    groups.set(group, { source, first: members[0] ?? name, names: [...members, name] });
  }
  return [...groups.values()];
}

/** Sums over what there is are allowed: not all VMs run, and disks take up space only as they fill. But it is said. */
function overcommitment({ config, inventory, file }: HostCheck): string[] {
  const all = Object.values(config.projects);
  const place = formatPath(file, ["projects"]);
  const sum = (of: (vm: VmSettings) => number) => all.reduce((total, vm) => total + of(vm), 0);
  const memory = sum((vm) => vm.memory);
  const disks = sum((vm) => vm.disk + vm.rootDisk);
  const warnings = [];
  if (all.length > 1 && memory > inventory.memory) {
    const [asked, has] = [formatSize(memory), formatSize(inventory.memory)];
    warnings.push(
      `${place}: all VMs together want ${asked} of memory, ${inventory.uri} has ${has}: not all can run at once`,
    );
  }
  if (inventory.storage && disks > inventory.storage.capacity) {
    const [asked, has] = [formatSize(disks), formatSize(inventory.storage.capacity)];
    warnings.push(`${place}: all disks together may grow to ${asked}, ${inventory.storage.path} holds ${has}`);
  }
  return warnings;
}

const mostListed = 5;

function listed(names: string[]): string {
  const shown = names.slice(0, mostListed).map((name) => `projects.${name}`);
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}
