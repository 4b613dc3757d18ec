import { createHash } from "node:crypto";
import { shellWord } from "./shell-word.ts";

/**
 * All names and identities that the host or the guest sees. They derive from the project's name alone,
 * so that nothing about a VM depends on the order of the entries or on what else there is.
 */

/** What domains, pools and host names of projects begin with. */
export const namePrefix = "project-";

/** The most characters of a label in a DNS name. */
export const longestLabel = 63;

/** A DNS label has at most 63 characters, and the host name is one: `project-<name>`. */
export const longestName = longestLabel - namePrefix.length;

/** A DNS label, in lower case only: host names do not tell cases apart. */
export const namePattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";

/** The libvirt pool, shared by all stacks of a host, that holds the base images. */
export const basePoolName = "project-vms-base";

/** The folder of the base images under storageDir. */
export const baseFolder = "base";

/** The folder of the backups under storageDir. */
export const backupFolder = "backups";

/** The folder of all embedded hosts on this machine. */
export const embeddedRoot = "/var/lib/project-vms";

/** The folder of a project's disks is its name; the folders of base images and backups, and the base pool's name, are taken. */
export const reservedNames: readonly string[] = [baseFolder, backupFolder, basePoolName.slice(namePrefix.length)];

/** The folder under storageDir of what a project's serial console prints; no project's own can be called so. */
export const consoleFolder = (name: string) => `${name}.console`;

/** The libvirt pool of a project's disks. */
export function poolName(name: string): string {
  return `${namePrefix}${name}`;
}

/** The libvirt domain of a project. */
export function domainName(name: string): string {
  return `${namePrefix}${name}`;
}

/** The host name of a project's VM. */
export function hostName(name: string): string {
  return `${namePrefix}${name}`;
}

/**
 * The MAC address of a project's VM, in QEMU's own range and in lower case: libvirt reads it back so,
 * and upper case would show as a change at every refresh.
 */
export function macAddress(name: string): string {
  const bytes = sha256(name).slice(0, 6).match(/../g) ?? [];
  return ["52", "54", "00", ...bytes].join(":");
}

/** Which disk of a VM a serial stands for. */
export type DiskRole = "root" | "project" | "seed";

/** The serial by which the guest finds a disk (`/dev/disk/by-id/virtio-<serial>`). Virtio has room for 20 characters. */
export function diskSerial(name: string, role: DiskRole): string {
  return `${role}-${sha256(name).slice(0, 12)}`;
}

/**
 * The UUID of a project's domain: the same one however often the domain is defined, on whatever state, so that defining it
 * again changes the domain that is there. Version 8: RFC 9562 leaves its content to us.
 */
export function domainUuid(name: string): string {
  return uuidOf(`domain ${name}`);
}

/** The libvirt network filter of a project's VM. */
export function filterName(name: string): string {
  return `${namePrefix}${name}`;
}

/** The UUID of that filter: defining it again under the same one changes it in place, also for a VM that runs. */
export function filterUuid(name: string): string {
  return uuidOf(`filter ${name}`);
}

function uuidOf(text: string): string {
  const digest = sha256(text);
  const variant = ((Number.parseInt(digest.slice(16, 17), 16) & 3) | 8).toString(16);
  const groups = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
  ];
  return [...groups, digest.slice(20, 32)].join("-");
}

/** The line in a domain's `<description>` that says whose it is. A domain without its stack's line is never touched. */
export function ownerMark(stack: string): string {
  return `project-vms stack ${stack}`;
}

const networkSuffix = ".project-vms.internal";

/** The DNS domain of a stack's managed network, which says whose network it is. */
export function networkDomain(stack: string): string {
  return `${stack}${networkSuffix}`;
}

/** Whether a network's DNS domain says that some stack made it. */
export function isManagedDomain(dnsDomain: string | undefined): boolean {
  return dnsDomain?.endsWith(networkSuffix) === true;
}

/** The stack that a mark names: a domain's `<description>` or a network's DNS domain; undefined where it is none. */
export function markedStack(mark = ""): string | undefined {
  if (isManagedDomain(mark)) return mark.slice(0, -networkSuffix.length);
  return /^\s*project-vms stack (\S+)\s*$/m.exec(mark)?.[1];
}

/** What is known of a name that a stack had before. */
export interface NameBefore {
  /** The name that the stack's marks bear in its state, where it was renamed since. */
  formerName?: string | undefined;
  /** Whether that is not known, since the state is not read here: its backend is no folder. */
  mayBeRenamed?: boolean;
}

/** How a stack that was renamed gets the name back that its marks bear. */
export const renameBack = (formerName: string, stack: string) =>
  `pulumi stack rename ${shellWord(formerName)} --stack ${stack}`;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Whether a volume is a VM's console log or, with a number, an older part of it that virtlogd has rotated: where a VM was defined
 * before such logs had a folder of their own.
 */
export const isConsoleLog = (volume: string) => /^console\.log(\.\d+)?$/.test(volume);
