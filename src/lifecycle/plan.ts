import { posix } from "node:path";
import type { NetworkSettings, ProjectSettings } from "../config/settings.ts";
import { domainName, namePrefix, poolName } from "../core/names.ts";
import type { VmChange } from "../core/records.ts";
import { formatSize } from "../core/sizes.ts";
import type { DomainFound, Inventory, NetworkFound, VolumeFound } from "../libvirt/inventory.ts";
import type { DomainMarks } from "../libvirt/libvirt-xml.ts";
import { detachedDisks, droppedText, type OwnDevices } from "../libvirt/manual-changes.ts";
import { rootDigest } from "./definition.ts";

/** What of a project is on the host already. */
export interface ProjectFound {
  domain: DomainFound | undefined;
  rootDisk: VolumeFound | undefined;
  projectDisk: VolumeFound | undefined;
  /** The libvirt network that its domain is on. */
  network: NetworkFound | undefined;
  /** Those of its volumes that are gone from the host, and can be recreated. */
  lost?: DisposableVolume[];
}

/** The volumes that can be recreated at any time. */
const disposableVolumes = ["disk.qcow2", "seed.iso"] as const;
export type DisposableVolume = (typeof disposableVolumes)[number];

/** What a project's VM is to be. */
export interface VmWanted {
  name: string;
  settings: ProjectSettings;
  network: NetworkSettings;
  virtualization: "kvm" | "emulated";
  /** Digest of the domain's definition. */
  definition: string;
  /** Domain of the tailnet that it is to be in. */
  tailnet?: string | undefined;
  /** Whether it is there, and gets a network filter that it has not. */
  filter?: boolean;
  /** The devices that its definition makes; undefined: not known. */
  devices?: OwnDevices | undefined;
}

/** What an update does to a VM, to its root and to its data. */
export interface VmPlan {
  /** `redefined`: shut down gracefully, redefined, started again if it ran. */
  domain: "new" | "unchanged" | "redefined";
  /** Why it is redefined. */
  reasons: string[];
  /** Whether it runs when the update begins, or an update that was cut off should have started it. */
  runs: boolean;
  root: "new" | "kept" | "grown" | "rebuilt" | "recreated";
  data: "new" | "kept" | "grown" | "adopted";
}

/** Looks a project up in what was found on its host. */
export function findProject({ domains, pools, networks }: Inventory, storageDir: string, name: string): ProjectFound {
  const pool = pools.find((one) => one.name === poolName(name));
  const volume = (file: string) => pool?.volumes.find(({ path }) => path === posix.join(storageDir, name, file));
  const domain = domains.find((one) => one.name === domainName(name));
  const projectDisk = volume("project.qcow2");
  // Beside a project disk that is seen, others that are not seen are gone. Without one, the whole folder may be out of sight.
  const isGone = (file: string) => projectDisk && !volume(file) && !pool?.unread?.includes(file);
  return {
    domain,
    rootDisk: volume("disk.qcow2"),
    projectDisk,
    network: networks.find((network) => network.name === domain?.network),
    lost: disposableVolumes.filter(isGone),
  };
}

/** Whether one of a project's volumes is gone from the host, whatever the state says. */
export const isLost = ({ lost = [] }: ProjectFound, volume: DisposableVolume) => lost.includes(volume);

/** Whether a VM that is there has lost its root disk, and is to get a new one. */
export const hasLostRoot = (found: ProjectFound) => found.domain !== undefined && isLost(found, "disk.qcow2");

/** Whether a VM that is there has no network interface left, neither now nor after its next start: others detached it. */
const hasLostNic = ({ domain }: ProjectFound) =>
  domain?.devices !== undefined && domain.devices.length > 0 && domain.devices.every(({ nics }) => nics.length === 0);

/** Those of its disks that its pool has and its domain has not: others detached them. */
function lostDisks({ domain, rootDisk, projectDisk }: ProjectFound): string[] {
  if (!domain) return [];
  const there = { vda: rootDisk, vdb: projectDisk };
  const own = Object.entries(there).flatMap(([target, disk]) => (disk ? [[target, disk.path]] : []));
  const names: Record<string, string> = { vda: "root disk", vdb: "project disk" };
  const project = domain.name.slice(namePrefix.length);
  return detachedDisks(project, Object.fromEntries(own), domain.devices ?? []).map((target) => names[target] ?? target);
}

/** Whether a VM that is there has lost what only a definition brings back. */
export const isToRedefine = (found: ProjectFound) =>
  hasLostRoot(found) || hasLostNic(found) || lostDisks(found).length > 0;

/** Whether something that was cut off, an update, a restart or the like, has left a VM off that is to run. */
export const isLeftOff = ({ domain }: ProjectFound) => domain?.state === "shut off" && domain.marks.starting === true;

/** Whether an update makes a new root disk for a VM that is there. */
export function wantsNewRoot({ domain }: ProjectFound, settings: ProjectSettings): boolean {
  return domain !== undefined && (domain.marks.root ?? rootDigest({})) !== rootDigest(settings);
}

/** What a VM notes of a project disk that was bigger than its entry asked for when it was adopted. */
export function adoptedBigger({ domain, projectDisk }: ProjectFound, disk: number): DomainMarks["adopted"] {
  if (domain) return domain.marks.adopted;
  return projectDisk && projectDisk.capacity > disk ? { size: projectDisk.capacity, asked: disk } : undefined;
}

/** Whether a project disk may be bigger than its entry asks for: it is adopted, or its size and the entry are still those of then. */
export function mayBeBigger(found: ProjectFound, disk: number): boolean {
  const adopted = adoptedBigger(found, disk);
  return adopted !== undefined && adopted.size === found.projectDisk?.capacity && adopted.asked === disk;
}

/** What an update will do, from what is there and what is wanted. Pure: a preview and its update come to the same. */
export function planVm(found: ProjectFound, wanted: VmWanted): VmPlan {
  const { domain, rootDisk, projectDisk } = found;
  const { settings } = wanted;
  const rebuilt = wantsNewRoot(found, settings);
  const recreated = !rebuilt && hasLostRoot(found);
  const isWhole = !rebuilt && !isToRedefine(found);
  const unchanged = domain?.marks.definition === wanted.definition && isWhole;
  return {
    domain: !domain ? "new" : unchanged ? "unchanged" : "redefined",
    reasons: domain && !unchanged ? reasonsFor(found, domain, wanted, rebuilt || recreated) : [],
    runs: domain !== undefined && isToRun(domain),
    root: rebuilt ? "rebuilt" : recreated ? "recreated" : sizeChange(rootDisk, settings.rootDisk),
    data: projectDisk && !domain ? "adopted" : sizeChange(projectDisk, settings.disk),
  };
}

/** Whether a VM that is there runs when the update is done: that is its user's business, and not changed. */
export const isToRun = ({ state, marks }: DomainFound) => state !== "shut off" || marks.starting === true;

/** Whether an update works on a VM that is there: on its definition or on a disk of it. */
export const isWorkedOn = ({ domain, root, data }: VmPlan) =>
  domain === "redefined" || (domain === "unchanged" && (root !== "kept" || data !== "kept"));

function sizeChange(disk: VolumeFound | undefined, size: number): "new" | "kept" | "grown" {
  if (!disk) return "new";
  return disk.capacity < size ? "grown" : "kept";
}

function reasonsFor(
  found: ProjectFound,
  domain: DomainFound,
  { settings, network, virtualization }: VmWanted,
  newRoot: boolean,
): string[] {
  const was = domain.type === "kvm" ? "kvm" : "emulated";
  const addresses = network.kind === "managed" && found.network?.cidr !== network.cidr;
  const reasons = [
    ...(domain.memory === settings.memory ? [] : [fromTo("memory", domain.memory, settings.memory)]),
    ...(domain.cpus === settings.cpus ? [] : [`cpus ${domain.cpus} to ${settings.cpus}`]),
    ...(domain.firmware === settings.firmware ? [] : [`firmware ${domain.firmware} to ${settings.firmware}`]),
    ...(domain.network === network.name ? [] : [`network ${domain.network ?? "none"} to ${network.name}`]),
    ...(domain.network === network.name && addresses ? [`network's addresses to ${network.cidr}`] : []),
    ...lostDisks(found).map((disk) => `${disk} attached again`),
    ...(was === virtualization ? [] : [`virtualization ${was} to ${virtualization}`]),
  ];
  return reasons.length > 0 || newRoot ? reasons : ["its definition changed"];
}

const fromTo = (what: string, from: number, to: number) => `${what} ${formatSize(from)} to ${formatSize(to)}`;

/**
 * What an update does to a VM, to its root and to its data; undefined when it changes nothing.
 * @example describePlan(found, wanted, plan)?.text // "restart (memory 8 GiB to 16 GiB), data kept"
 */
export function describePlan(found: ProjectFound, wanted: VmWanted, plan: VmPlan): VmChange | undefined {
  const parts = [
    ...droppedParts(found, wanted, plan),
    ...rootParts(found, wanted, plan),
    ...dataParts(found, wanted, plan),
    ...rootLeftParts(found, plan),
    ...inPlaceParts(found, wanted),
  ];
  const starts = plan.domain === "unchanged" && isLeftOff(found);
  if (plan.domain === "unchanged" && parts.length === 0 && !starts) return undefined;
  const told = plan.data === "new" ? parts : [...parts, "data kept"];
  const text = [starts ? "started again" : vmPart(plan), ...told].join(", ");
  return { project: wanted.name, kind: plan.domain === "new" ? "new" : "changed", text };
}

function vmPart({ domain, reasons, runs }: VmPlan): string {
  if (domain === "new") return "new VM";
  const why = reasons.length > 0 ? ` (${reasons.join(", ")})` : "";
  if (domain === "redefined") return runs ? `restart${why}` : `stays shut off${why}`;
  return runs ? "no restart" : "stays shut off";
}

/** A definition knows nothing of devices that were added by hand. */
function droppedParts({ domain }: ProjectFound, { devices }: VmWanted, plan: VmPlan): string[] {
  if (!domain?.devices || !devices || plan.domain !== "redefined") return [];
  const dropped = droppedText(devices, domain.devices);
  return dropped === undefined ? [] : [dropped];
}

function rootParts(found: ProjectFound, { settings }: VmWanted, { domain, root }: VmPlan): string[] {
  const { rootDisk } = found;
  if (root === "rebuilt") return ["root disk recreated"];
  if (root === "recreated") return ["root disk recreated: its file is gone from the host"];
  const seed = domain !== "new" && isLost(found, "seed.iso") ? ["seed recreated: its file is gone from the host"] : [];
  return root === "grown" && rootDisk ? [`root disk grows ${sizes(rootDisk, settings.rootDisk)}`, ...seed] : seed;
}

/** What a root was made from is noted in its domain: where others have undefined that, its root is taken as it is. */
const rootLeftParts = ({ rootDisk }: ProjectFound, { domain }: VmPlan) =>
  domain === "new" && rootDisk ? ["on the root disk that is there"] : [];

function dataParts({ projectDisk }: ProjectFound, { settings }: VmWanted, { data }: VmPlan): string[] {
  if (!projectDisk) return [`new project disk of ${formatSize(settings.disk)}`];
  if (data === "adopted") return adoptedParts(projectDisk, settings.disk);
  return data === "grown" ? [`project disk grows ${sizes(projectDisk, settings.disk)}`] : [];
}

function adoptedParts(projectDisk: VolumeFound, disk: number): string[] {
  const adopts = `adopts its kept project disk (${usage(projectDisk)})`;
  if (projectDisk.capacity < disk) return [adopts, `project disk grows ${sizes(projectDisk, disk)}`];
  return [
    projectDisk.capacity > disk ? `${adopts}, which stays bigger than the ${formatSize(disk)} asked for` : adopts,
  ];
}

function inPlaceParts({ domain }: ProjectFound, { settings, tailnet, filter }: VmWanted): string[] {
  if (!domain) return [];
  const isIn = domain.marks.tailnet !== undefined;
  const keeps = domain.marks.keepData ?? true;
  return [
    ...(domain.autostart === settings.autostart ? [] : [`autostart ${settings.autostart ? "on" : "off"}`]),
    ...(tailnet && !isIn && isToRun(domain) ? [`joins the tailnet ${tailnet}`] : []),
    ...(!tailnet && isIn && isToRun(domain) ? ["leaves its tailnet"] : []),
    ...(filter ? ["network filter added"] : []),
    ...(keeps === settings.keepData ? [] : [`keepData ${keeps} to ${settings.keepData}`]),
  ];
}

/** Whether a VM or a disk that is there has other settings, of those that take no restart, than it is to have. */
export function lacksSettings({ domain, rootDisk, projectDisk }: ProjectFound, settings: ProjectSettings): boolean {
  const { autostart, keepData } = settings;
  const isTooSmall = (disk: VolumeFound | undefined, size: number) => disk !== undefined && disk.capacity < size;
  return (
    (domain !== undefined && (domain.autostart !== autostart || (domain.marks.keepData ?? true) !== keepData)) ||
    isTooSmall(rootDisk, settings.rootDisk) ||
    isTooSmall(projectDisk, settings.disk)
  );
}

const sizes = ({ capacity }: VolumeFound, to: number) => `from ${formatSize(capacity)} to ${formatSize(to)}`;

/** @example "50 GiB, 3.2 GiB used" */
export const usage = ({ capacity, allocation }: VolumeFound) =>
  `${formatSize(capacity)}, ${formatSize(allocation)} used`;
