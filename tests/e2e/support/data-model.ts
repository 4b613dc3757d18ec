import { formatSize, MiB } from "../../../src/core/sizes.ts";
import { cidrOf, type ImageName, imageNames, type SweepConfig, settingsOf } from "./sweep-config.ts";

/**
 * What must hold on a host after an edit of a config, said without any of the product's code: which VMs there are, how big
 * their disks are and what is on them, and which edits must be refused. Pure.
 */
export interface World {
  /** The config of the last up that was not refused. */
  config: SweepConfig;
  vms: Record<string, Vm>;
  /** All project disks on the host by project, those of projects that are gone among them. */
  disks: Record<string, Disk>;
  /** How many disks were marked so far, so that each has marks of its own. */
  marked: number;
}

export interface Vm {
  memory: number;
  cpus: number;
  cidr: string;
  autostart: boolean;
  keepData: boolean;
  root: Root;
  /** Of a kept disk that was bigger than asked for when it was adopted: its size and what was asked for. */
  adopted?: { size: number; asked: number } | undefined;
}

/** A disk on the host. */
export interface Disk {
  /** MiB. */
  size: number;
  /** All that is on it; the rest is zeroes. */
  marks: Mark[];
  /** Up to where, in MiB, it has got its marks. */
  marked: number;
}

export interface Root extends Disk {
  image: ImageName;
  /** What it was asked to be made from; something else asks for a new one. */
  request: string;
}

/** A stretch of one byte, repeated. In bytes. */
export interface Mark {
  at: number;
  length: number;
  byte: number;
}

/** A mistake that must be told: where, and what the line about it must hold. */
export interface Refusal {
  path: string;
  says: string[];
}

/** Where a new mark goes. */
export interface Write {
  project: string;
  file: "project.qcow2" | "disk.qcow2";
  mark: Mark;
}

export const emptyWorld = (config: SweepConfig): World => ({
  config: { ...config, projects: {} },
  vms: {},
  disks: {},
  marked: 0,
});

/** What must come of an up with a config: all that must be refused, or else the world after it. */
export function foresee(world: World, config: SweepConfig): { refusals: Refusal[]; world: World } {
  const refusals = Object.keys(config.projects).flatMap((name) => [
    ...diskRefusals(world, config, name),
    ...rootRefusals(world, config, name),
  ]);
  return { refusals, world: refusals.length > 0 ? world : after(world, config) };
}

/** The world after all entries, and the stack with them, are gone. */
export const destroyed = (world: World) => after(world, { ...world.config, projects: {} });

function diskRefusals({ vms, disks }: World, config: SweepConfig, name: string): Refusal[] {
  const disk = disks[name];
  const { disk: size } = settingsOf(config, name);
  const refusal = (...says: string[]) => [{ path: `projects.${name}.disk`, says: [...says, is(size)] }];
  const vm = vms[name];
  // A kept disk is adopted in any size.
  if (!disk || !vm || size >= disk.size) return [];
  if (vm.adopted?.size === disk.size && vm.adopted.asked === size) return [];
  return refusal(`must be at least ${inUnits(disk.size)}`, "a disk is never made smaller");
}

function rootRefusals({ vms }: World, config: SweepConfig, name: string): Refusal[] {
  const root = vms[name]?.root;
  const { rootDisk } = settingsOf(config, name);
  if (!root || rootDisk >= root.size || root.request !== requestOf(config, name)) return [];
  const says = [`must be at least ${inUnits(root.size)}`, "as the root disk", is(rootDisk)];
  return [{ path: `projects.${name}.rootDisk`, says }];
}

const inUnits = (size: number) => formatSize(size * MiB);
const is = (size: number) => `but is "${inUnits(size)}"`;

/** What asks for a new root: another text, or another image of the project's own. The stack's image does not. */
function requestOf(config: SweepConfig, name: string): string {
  const { rebuild = "", image = "the stack's" } = settingsOf(config, name);
  return `${rebuild} from ${image}`;
}

function after(world: World, config: SweepConfig): World {
  const names = Object.keys(config.projects);
  const isDeleted = (name: string) => !names.includes(name) && world.vms[name]?.keepData === false;
  const stay = Object.entries(world.disks).filter(([name]) => !isDeleted(name));
  return {
    ...world,
    config,
    vms: Object.fromEntries(names.map((name) => [name, vmAfter(world, config, name)])),
    disks: { ...Object.fromEntries(stay), ...Object.fromEntries(names.map((name) => diskAfter(world, config, name))) },
  };
}

function vmAfter({ vms, disks }: World, config: SweepConfig, name: string): Vm {
  const { memory, cpus, autostart, keepData, disk, rootDisk, image } = settingsOf(config, name);
  const request = requestOf(config, name);
  const old = vms[name]?.root;
  const root =
    old?.request === request
      ? { ...old, size: Math.max(old.size, rootDisk) }
      : newRoot(rootDisk, image ?? config.image, request);
  const size = disks[name]?.size ?? disk;
  const adopted = vms[name] ? vms[name].adopted : size > disk ? { size, asked: disk } : undefined;
  return { memory, cpus, cidr: cidrOf(config), autostart, keepData, root, adopted };
}

function newRoot(size: number, image: ImageName, request: string): Root {
  return { size, image, request, marks: [imageMarks[image]], marked: 0 };
}

function diskAfter({ disks }: World, config: SweepConfig, name: string): [string, Disk] {
  const old = disks[name] ?? { size: 0, marks: [], marked: 0 };
  return [name, { ...old, size: Math.max(old.size, settingsOf(config, name).disk) }];
}

/** How much of a root disk is looked at, in MiB: as much as the base images have. */
export const imageSize = 16;

/** What is on the base images. */
export const imageMarks = Object.fromEntries(
  imageNames.map((name, i) => [name, { at: 0, length: MiB, byte: 0xa1 + i }]),
) as Record<ImageName, Mark>;

const markLength = 64 * 1024;

/** The same world with marks of its own on each new disk, and on the new part of each that grew. */
export function withMarks(world: World): { world: World; writes: Write[] } {
  let { marked } = world;
  const writes: Write[] = [];
  const mark = <T extends Disk>(project: string, file: Write["file"], disk: T, places: number[]): T => {
    if (disk.marked === disk.size) return disk;
    const byte = 1 + (marked++ % 255);
    const marks = places.map((at) => ({ at, length: markLength, byte }));
    writes.push(...marks.map((one) => ({ project, file, mark: one })));
    return { ...disk, marks: [...disk.marks, ...marks], marked: disk.size };
  };
  const vms = mapped(world.vms, (project, vm) => {
    const isNew = vm.root.marked === 0;
    return { ...vm, root: mark(project, "disk.qcow2", vm.root, isNew ? [somewhere(marked)] : []) };
  });
  const disks = mapped(world.disks, (project, disk) => {
    const last = disk.size * MiB - markLength;
    return mark(project, "project.qcow2", disk, disk.marked === 0 ? [0, somewhere(marked), last] : [last]);
  });
  return { world: { ...world, vms, disks, marked }, writes };
}

/** A place between 2 and 15 MiB that differs from disk to disk. */
const somewhere = (marked: number) => 2 * MiB + (marked % 199) * markLength;

/** VMs that an edit is nothing to: their definitions must not even be rewritten. */
export function untouched(before: World, { vms }: World): string[] {
  return Object.keys(vms).filter((name) => {
    const [old, now] = [before.vms[name], vms[name]];
    const same = (key: Exclude<keyof Vm, "root" | "autostart" | "adopted">) => old?.[key] === now?.[key];
    const keys = ["memory", "cpus", "cidr", "keepData"] as const;
    return old !== undefined && keys.every(same) && old.root.request === now?.root.request;
  });
}

function mapped<T>(all: Record<string, T>, change: (name: string, value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, change(name, value)]));
}
