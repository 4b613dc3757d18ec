import { posix } from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { domainName, macAddress, poolName } from "../core/names.ts";
import type { DiskDevice, DomainDevices } from "./domain-devices.ts";
import type { DomainFound } from "./inventory.ts";
import { transientIssue } from "./transient.ts";

/**
 * What others did to a domain of this product: virt-manager, virsh, libvirt-guests. All of it is looked at before the domain
 * is defined again or its disks are worked on. Pure.
 */

/** A disk of a domain that is not the file that this program put there. */
export interface MovedDisk {
  /** The device that it is. */
  target: string;
  /** The file that the domain should use, and the one that it uses. */
  ours: string;
  file: string;
  /** Whether that one is an overlay over ours, as an external snapshot makes it. */
  isOverlay: "yes" | "no" | "unknown";
}

/** What is in an empty drive. */
const nothing = "nothing";

/** The device that our definition makes of the root disk. */
const rootTarget = "vda";

/** Where a domain is, for commands that people type. */
export interface DomainPlace {
  uri: string;
  project: string;
  /** The stack's name, where it is known. */
  stack?: string | undefined;
  isOff: boolean;
}

/** The files that hold something, by the device that they are in the guest. */
export const ownDisks = (storageDir: string, project: string): Record<string, string> => ({
  [rootTarget]: posix.join(storageDir, project, "disk.qcow2"),
  vdb: posix.join(storageDir, project, "project.qcow2"),
});

/** Whether a disk of a domain is this file, which may be named as a volume of its project's pool. */
const isFile = ({ source }: DiskDevice, project: string, file: string) =>
  source === `${poolName(project)}/${posix.basename(file)}` || posix.normalize(source) === posix.normalize(file);

/** The device that this file is in a domain, whatever it is called there; undefined: the domain has it not. */
export const targetOf = (project: string, file: string, { disks }: DomainDevices) =>
  disks.find((disk) => isFile(disk, project, file))?.target;

/**
 * The disks of a domain that are in the place of ours: as the same device or, where the domain has ours no more, as another one, for
 * people change the bus of a disk. Where it has ours under another name, only an overlay over ours is.
 *
 * @param views what a domain is now and, where it runs, what it is defined as
 */
export function movedDisks(project: string, own: Record<string, string>, views: DomainDevices[]): MovedDisk[] {
  const moved = Object.entries(own).flatMap(([target, ours]) =>
    views.flatMap((view, i) => {
      const isThere = targetOf(project, ours, view) !== undefined;
      const isGone = !isThere && !view.disks.some((disk) => disk.target === target);
      // Of a guest that runs, libvirt tells what a disk stands on; it may have ejected ours, which its next start brings back.
      const mayStandOnOurs = (disk: DiskDevice) =>
        disk.chain.includes(ours) || (i === views.length - 1 && disk.format === "qcow2");
      const isInPlace = (disk: DiskDevice) =>
        disk.target === target
          ? !isThere || disk.chain.includes(ours)
          : isGone && !isBeside(disk, project, ours) && mayStandOnOurs(disk);
      return view.disks
        .filter((disk) => !isFile(disk, project, ours) && isInPlace(disk))
        .map((disk): MovedDisk => {
          const isOverlay = disk.chain.length === 0 ? "unknown" : disk.chain.includes(ours) ? "yes" : "no";
          return { target: disk.target, ours, file: disk.source || nothing, isOverlay };
        });
    }),
  );
  return moved.filter(
    (one, i) => i === moved.findIndex(({ target, file }) => target === one.target && file === one.file),
  );
}

/** Whether a disk is another file of ours in the same folder, or is in a root's place, which is looked at by itself. */
const isBeside = (disk: DiskDevice, project: string, ours: string) =>
  disk.target === rootTarget ||
  ["disk.qcow2", "project.qcow2", "seed.iso"].some((name) =>
    isFile(disk, project, posix.join(posix.dirname(ours), name)),
  );

/** The devices of ours that a domain has not after its next start, with nothing in their place: others detached them. */
export function detachedDisks(project: string, own: Record<string, string>, views: DomainDevices[]): string[] {
  const defined = views.at(-1);
  if (defined === undefined) return [];
  const moved = movedDisks(project, own, views);
  return Object.entries(own).flatMap(([target, ours]) =>
    defined.disks.some((disk) => isFile(disk, project, ours)) || moved.some((disk) => disk.ours === ours)
      ? []
      : [target],
  );
}

/** The devices of ours that a domain which runs has not before its next start, with nothing in their place. */
export function ejectedDisks(project: string, own: Record<string, string>, views: DomainDevices[]): string[] {
  const [now, ...defined] = views;
  if (now === undefined || defined.length === 0) return [];
  const detached = detachedDisks(project, own, views);
  return detachedDisks(project, own, [now]).filter((target) => !detached.includes(target));
}

/** What a domain has that has one of those no more from its next start on. */
export const detachedText = (target: string, file: string) =>
  `has nothing as ${target} from its next start on: ${file} was detached by other means`;

/** The same of one that lacks it while it runs: every guest can eject its devices. No update is held up by that. */
export function ejectedDiskIssue(target: string, file: string, { project, stack }: Omit<DomainPlace, "isOff">): Issue {
  return {
    path: domainName(project),
    rule: `must use ${file} as ${target}, but has nothing there: its guest ejected it, or it was detached by other means`,
    remedy: `have it back by its next start: project-vm restart ${project}${ofStack(stack)}`,
  };
}

/** A disk that is not ours as a fact and what to do about it. */
export function movedDiskIssue(disk: MovedDisk, place: DomainPlace): Issue {
  const rule = `must have ${disk.ours} as ${disk.target}, but has ${disk.file}`;
  return { path: domainName(place.project), rule, remedy: movedDiskRemedy(disk, place) };
}

/**
 * With `--base`, always: without it libvirt commits to the bottom of the chain, which for a root disk is the base image of all
 * other VMs.
 */
function movedDiskRemedy(
  { target, ours, file, isOverlay }: MovedDisk,
  { uri, project, stack, isOff }: DomainPlace,
): string {
  const domain = domainName(project);
  const virsh = `virsh -c '${uri}'`;
  const back = `put ${ours} back in its place: ${virsh} edit ${domain}`;
  if (file === nothing) return back;
  if (isOverlay === "no") return `if what is in that file is not needed, ${back}`;
  const start = isOff ? `start it: ${startCommand(project, stack)}; then ` : "";
  const commit = `${virsh} blockcommit ${domain} ${target} --active --pivot --verbose --base '${ours}'`;
  const forget = `${virsh} snapshot-delete ${domain} <name> --metadata`;
  const otherwise = isOverlay === "unknown" ? `; if it is no overlay of a snapshot, ${back}` : "";
  return `${start}write it back into ours: ${commit}; then forget the snapshot: ${forget}${otherwise}`;
}

const ofStack = (stack: string | undefined) => (stack === undefined ? "" : ` --stack ${stack}`);

const startCommand = (project: string, stack: string | undefined) => `project-vm start ${project}${ofStack(stack)}`;

/** Saved memory as a fact and what to do about it: a guest that runs is shut down in order like any other. */
export function savedMemoryIssue({ uri, project, stack }: Omit<DomainPlace, "isOff">): Issue {
  const start = `start it, so that it resumes and can be shut down in order: ${startCommand(project, stack)}; then try again`;
  return {
    path: domainName(project),
    rule: "must not have saved memory (virsh managedsave): what its guest has not yet written to its disk is there alone",
    remedy: `${start}; ${giveMemoryUp(uri, project)}`,
  };
}

/** The way out where another QEMU or another processor cannot resume what was saved. */
export const giveMemoryUp = (uri: string, project: string) =>
  `if it cannot resume, give that memory up, as after a power cut: virsh -c '${uri}' managedsave-remove ${domainName(project)}`;

/**
 * What was done to a domain that no update may work on before it is put right.
 *
 * @param found as the inventory has it
 */
export function manualChanges(
  { devices = [], state, isTransient = false }: Pick<DomainFound, "devices" | "state" | "isTransient">,
  storageDir: string,
  place: Omit<DomainPlace, "isOff">,
): Issue[] {
  const { project } = place;
  const moved = movedDisks(project, ownDisks(storageDir, project), devices);
  return [
    ...moved.map((disk) => movedDiskIssue(disk, { ...place, isOff: state === "shut off" })),
    ...(isTransient ? [transientIssue(place)] : []),
  ];
}

/** @throws UserError when there is anything to be named */
export function refuseManualChanges(project: string, issues: Issue[]): void {
  if (issues.length === 0) return;
  throw new UserError(
    `${project} was changed by other means than this program, and nothing more is done to it.`,
    issues,
  );
}

/** The devices that a definition makes, so that all others were added by hand. */
export interface OwnDevices {
  project: string;
  /** Files of disks, by the device that they are in the guest. */
  disks: Record<string, string>;
  macs: string[];
  /** Where a transform changes the definition: whether its stylesheet says a word, and how many elements of a name it makes beyond ours. */
  transformed?: { says: (word: string) => boolean; makes: (element: string) => number };
}

/** Those of a VM's definition before any transform: root, project disk, seed and interface. */
export const ownDevices = (storageDir: string, project: string): OwnDevices => ({
  project,
  disks: { ...ownDisks(storageDir, project), vdc: posix.join(storageDir, project, "seed.iso") },
  macs: [macAddress(project)],
});

/**
 * The devices that a definition does not make and would drop, in words. A disk in the place of one of ours is one, too.
 *
 * @example ["disk vdd (/srv/data.img, the file stays)", "interface 52:54:00:aa:bb:cc on lan"]
 */
export function addedDevices({ project, disks: own, macs, transformed }: OwnDevices, views: DomainDevices[]): string[] {
  const says = (word: string) => word !== "" && transformed?.says(word) === true;
  const isOurs = (disk: DiskDevice) => {
    const file = own[disk.target];
    return file !== undefined && isFile(disk, project, file);
  };
  const added = views.flatMap(({ disks, nics, others }) => [
    ...disks
      .filter((disk) => !isOurs(disk) && !says(disk.source))
      .map(({ target, source }) => `disk ${target}${source ? ` (${source}, the file stays)` : ""}`),
    ...nics.filter(({ mac }) => !macs.includes(mac) && !says(mac)).map(({ mac, on }) => `interface ${mac} on ${on}`),
    ...addedOthers(others, (kind) => transformed?.makes(kind) ?? 0, says),
  ]);
  return [...new Set(added)];
}

/** Of each kind, those beyond as many as a transform makes: first those that it names are its own. */
function addedOthers(others: string[], makes: (kind: string) => number, says: (word: string) => boolean): string[] {
  const kindOf = (other: string) => other.split(" ", 1)[0] ?? other;
  const isNamed = (other: string) => says(other.slice(kindOf(other).length + 1));
  return [...new Set(others.map(kindOf))].flatMap((kind) => {
    const all = others.filter((other) => kindOf(other) === kind);
    return [...all.filter(isNamed), ...all.filter((other) => !isNamed(other))].slice(makes(kind));
  });
}

/** What becomes of devices that were added by hand, in words; undefined: there are none. A transform may make some of them again. */
export function droppedText(own: OwnDevices, views: DomainDevices[]): string | undefined {
  const added = addedDevices(own, views).join(", ");
  if (added === "") return undefined;
  return own.transformed
    ? `may DROP what was added by hand, if its transform does not make it: ${added}`
    : `DROPS what was added by hand: ${added}`;
}
