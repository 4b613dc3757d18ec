import { posix } from "node:path";
import { namePrefix, poolName } from "../core/names.ts";
import type { VmChange } from "../core/records.ts";
import { bearsMark, type Identity, isCopy } from "../libvirt/copies.ts";
import type { DomainFound, Inventory, VolumeFound } from "../libvirt/inventory.ts";
import { findProject, usage } from "./plan.ts";

/** The projects that a host has, beside those of a stack's config. */
export interface HostView {
  inventory: Inventory;
  storageDir: string;
  /** The stack's name. */
  owner: string;
  /** Names of the projects in the stack's config. */
  projects: string[];
  /** Names of those whose VMs the stack's state can remove; undefined: it is not known. */
  removable?: string[] | undefined;
}

/** A project disk whose project is in no config of this stack. */
export interface KeptDisk {
  name: string;
  path: string;
  /** Bytes that it may grow to, and bytes that it takes up on the host. */
  size: number;
  used: number;
  /** The command that would remove it, for good. */
  remove: string;
}

/** Whether a domain is a VM of a stack: it bears its mark, and is no copy of one that does. */
export function isOwnedBy(domain: Identity & Pick<DomainFound, "description">, owner: string): boolean {
  return bearsMark(domain.description ?? "", owner) && !isCopy(domain);
}

interface Removed {
  name: string;
  domain: DomainFound;
}

/** VMs of this stack that are on the host and no longer in its config. */
export function vmsWithoutEntry({ inventory, owner, projects }: HostView): Removed[] {
  return inventory.domains
    .filter((domain) => domain.name.startsWith(namePrefix) && isOwnedBy(domain, owner))
    .map((domain) => ({ name: domain.name.slice(namePrefix.length), domain }))
    .filter(({ name }) => !projects.includes(name));
}

/** Whether an update takes such a VM away: the state must have it. */
const isRemovable = ({ removable }: HostView, { name }: Removed) => removable?.includes(name) ?? true;

const removedVms = (view: HostView) => vmsWithoutEntry(view).filter((vm) => isRemovable(view, vm));

/** What can be done about a VM of a stack that its state does not have. */
export const unknownVmRemedy = (stack: string) =>
  `have the state adopt it, with an entry of that name: project-vm apply --stack ${stack}; then it can be removed; one that others copied goes by virsh`;

/** Each VM that an update takes away, and what becomes of its data; and each that it does not know. */
export function describeRemovals(view: HostView): VmChange[] {
  const unknown = vmsWithoutEntry(view).filter((vm) => !isRemovable(view, vm));
  const remedy = unknownVmRemedy(view.owner);
  return [
    ...removedVms(view).map((vm): VmChange => ({ project: vm.name, kind: "removed", text: describeRemoved(view, vm) })),
    ...unknown.map(({ name, domain }): VmChange => {
      const text = `its VM (${domain.state}) is on the host and stays: it is not in this stack's state; ${remedy}`;
      return { project: name, kind: "noted", text };
    }),
  ];
}

function describeRemoved(view: HostView, { name, domain }: Removed): string {
  const { projectDisk } = findProject(view.inventory, view.storageDir, name);
  // Whether it is there, and how big, is not known while its pool does not show it.
  const path = posix.join(view.storageDir, name, "project.qcow2");
  if (!projectDisk && !domain.diskPaths.includes(path)) return "VM removed; it has no project disk";
  const size = projectDisk ? usage(projectDisk) : "its size is not known";
  if (domain.marks.keepData !== false) return `VM removed, data kept: ${path} (${size})`;
  return view.inventory.pools.some((pool) => pool.name === poolName(name))
    ? `VM removed, and its project disk DELETED with all data (keepData is false; ${size})`
    : `VM removed; its project disk ${path} is kept, although keepData is false: its pool is gone`;
}

/** The project disks that stay on the host without a project, those of VMs that this update takes away among them. */
export function keptDisks(view: HostView): KeptDisk[] {
  const { inventory, storageDir, owner, projects } = view;
  const gone = new Map(removedVms(view).map(({ name, domain }) => [name, domain.marks.keepData !== false]));
  return inventory.pools.flatMap((pool): KeptDisk[] => {
    const name = pool.name.slice(namePrefix.length);
    const isProject = pool.name === poolName(name) && posix.normalize(pool.path) === posix.join(storageDir, name);
    const { domain, projectDisk } = findProject(inventory, storageDir, name);
    if (!isProject || projects.includes(name) || !projectDisk) return [];
    if (domain ? !gone.get(name) : isUsed(inventory, projectDisk)) return [];
    return [keptDisk(name, projectDisk, owner)];
  });
}

function keptDisk(name: string, { path, capacity, allocation }: VolumeFound, stack: string): KeptDisk {
  return { name, path, size: capacity, used: allocation, remove: `project-vm purge ${name} --stack ${stack}` };
}

/** By a domain of another name: whatever that is, the disk is not idle. */
function isUsed({ domains }: Inventory, { path }: VolumeFound): boolean {
  return domains.some(({ diskPaths }) => diskPaths.includes(path));
}
