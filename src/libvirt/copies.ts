import { posix } from "node:path";
import { domainName, domainUuid, markedStack, namePrefix, ownerMark, poolName } from "../core/names.ts";
import { shellWord } from "../core/shell-word.ts";
import type { DomainFound } from "./inventory.ts";
import type { DomainXml } from "./libvirt-xml.ts";
import { virshInShell } from "./virsh-line.ts";

/** What of a domain tells whether it is a VM of this product, or only bears its marks. */
export type Identity = Pick<DomainFound, "name" | "uuid" | "diskPaths">;

/** Whether a description has the line that says which stack a domain is of. */
export const bearsMark = (description: string, owner: string) =>
  description.split("\n").some((line) => line.trim() === ownerMark(owner));

/**
 * Whether a domain that bears our marks is none of our VMs: a copy, into which virt-manager and virt-clone take the marks along, or one
 * that others renamed. Ours have the UUID that goes with their name; those of earlier versions have another one, and their own disks. Pure.
 */
export function isCopy({ name, uuid, diskPaths }: Identity): boolean {
  if (!name.startsWith(namePrefix)) return true;
  const project = name.slice(namePrefix.length);
  if (uuid === domainUuid(project) || diskPaths.length === 0) return false;
  const folders = diskPaths.map((file) => posix.basename(posix.dirname(posix.normalize(file))));
  return !folders.some((folder) => [project, poolName(project)].includes(folder));
}

/** The same of what libvirt tells of a domain. */
export const isCopyXml = ({ name, uuid, disks }: DomainXml) =>
  isCopy({ name, uuid, diskPaths: disks.map((disk) => ("path" in disk ? disk.path : `${disk.pool}/${disk.volume}`)) });

/**
 * Whether a domain is a VM of this product whose description others rewrote, and with it the mark that says which stack it is of:
 * its UUID and what its metadata notes stay. Pure.
 */
export const hasLostMark = ({
  name,
  uuid,
  description,
  marks,
}: Pick<DomainFound, "name" | "uuid" | "description" | "marks">) =>
  markedStack(description) === undefined &&
  marks.definition !== undefined &&
  name.startsWith(namePrefix) &&
  uuid === domainUuid(name.slice(namePrefix.length));

/** A VM that has lost its mark: its project, whether it is off, and its description; undefined: that is not known here. */
interface Unmarked {
  project: string;
  isOff: boolean;
  description: string | undefined;
}

/**
 * How a VM gets the mark of its stack back, if it is that one's. What others wrote as its description stays: the command itself reads
 * it, so that nothing of a stranger's text is in what is to be pasted into a shell, nor can begin as an option does.
 */
export function markRemedy(uri: string, owner: string, { project, isOff, description }: Unmarked): string {
  const [mark, domain] = [ownerMark(owner), domainName(project)];
  const read = virshInShell(uri, "desc", domain);
  const text = description === "" ? shellWord(mark) : `"$(echo ${shellWord(mark)}; ${read})"`;
  const write = [read, text, "--config", ...(isOff ? [] : ["--live"])].join(" ");
  return `if it is this stack's, give it the mark back, as a line of its description: ${write}`;
}

/** What bears a stack's mark and is none of its VMs, in words: it is left alone. */
export function describeCopies(domains: (Identity & Pick<DomainFound, "description">)[], owner: string): string[] {
  return domains
    .filter((domain) => bearsMark(domain.description ?? "", owner) && isCopy(domain))
    .map(
      ({ name }) =>
        `the domain \`${name}\` bears the mark of this stack, but is none of its VMs: a copy (virt-manager, virt-clone), or one that was renamed; it is left alone`,
    );
}
