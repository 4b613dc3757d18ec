import { posix } from "node:path";
import type { ProjectSettings } from "../config/settings.ts";
import { formatPath, type Issue } from "../core/errors.ts";
import { domainName, poolName } from "../core/names.ts";
import { shellWord } from "../core/shell-word.ts";
import { formatSize, GiB, MiB } from "../core/sizes.ts";
import { rawDisks } from "../libvirt/domain-disks.ts";
import { foreignDisk } from "../libvirt/foreign-disk.ts";
import type { VolumeFound } from "../libvirt/inventory.ts";
import { unfinishedRestore } from "../libvirt/restore-mark.ts";
import { virshInShell } from "../libvirt/virsh-line.ts";
import { isOwnedBy } from "../lifecycle/leftovers.ts";
import { overlayIssues } from "../lifecycle/overlays.ts";
import { findProject, mayBeBigger, type ProjectFound, wantsNewRoot } from "../lifecycle/plan.ts";
import { undefineCommand } from "../lifecycle/replace.ts";
import type { HostCheck } from "./host-check.ts";

/** What of a config cannot be done with the disks that are there: nothing shrinks, and nothing foreign is adopted. */
export function diskIssues(check: HostCheck): Issue[] {
  return Object.entries(check.config.projects).flatMap(([name, settings]) => {
    const found = findProject(check.inventory, check.host.storageDir, name);
    const unfinished = unfinishedRestores(check, name);
    return [
      ...unfinished,
      ...overlays(check, name, found),
      ...unreadDiskIssues(check, name),
      ...lostDiskIssues(check, name, found),
      ...projectDiskIssues(check, name, settings, found),
      ...rootDiskIssues(check, name, settings, found),
    ];
  });
}

/** A restore that was cut off: nothing is done with that disk before it is done again. */
function unfinishedRestores(check: HostCheck, name: string): Issue[] {
  const volumes = check.inventory.pools.find((pool) => pool.name === poolName(name))?.volumes ?? [];
  const names = volumes.map((volume) => volume.name);
  const issue = unfinishedRestore(name, names);
  return issue ? [{ ...issue, path: placeOf(check, name), rule: `its project disk ${issue.rule}` }] : [];
}

/** What is seen of them at a preview, under storageDir; the update has libvirt look again, in all pools. */
function overlays(check: HostCheck, name: string, { domain }: ProjectFound): Issue[] {
  const pool = check.inventory.pools.find((one) => one.name === poolName(name));
  if (domain || !pool) return [];
  const elsewhere = check.inventory.pools.flatMap((one) => (one === pool ? [] : one.volumes));
  return overlayIssues(pool.volumes, rawDisks(check.inventory), elsewhere).map(({ path, rule, remedy }) => ({
    path: placeOf(check, name),
    rule: `its disk ${path} ${rule}`,
    remedy,
  }));
}

/** Whether libvirt does not show the project disk of a VM that is there: how big that is, and whether it is there, is not known. */
function isUnseen({ host, stack }: HostCheck, name: string, { domain, projectDisk }: ProjectFound): boolean {
  const disk = posix.join(host.storageDir, name, "project.qcow2");
  return !projectDisk && domain?.diskPaths.includes(disk) === true && isOwnedBy(domain, stack);
}

/** Project disks that libvirt does not show because their pools are stopped or gone. One in another place has an error of its own. */
export function poolsToStart(check: HostCheck): Issue[] {
  const { config, inventory, host } = check;
  return Object.keys(config.projects).flatMap((name) => {
    const isOfVm = isUnseen(check, name, findProject(inventory, host.storageDir, name));
    const [path, poolOf] = [placeOf(check, name), poolName(name)];
    const [folder, virsh] = [posix.join(host.storageDir, name), `virsh -c '${inventory.uri}'`];
    const pool = inventory.pools.find((one) => one.name === poolOf);
    const start = `${virsh} pool-start ${poolOf}`;
    if (!pool && isOfVm) {
      const rule = `its project disk is in ${folder}, but the pool \`${poolOf}\` that it was in is not on ${inventory.uri} any more`;
      const define = `${virsh} pool-define-as ${poolOf} dir --target ${shellWord(folder)}`;
      return [{ path, rule, remedy: `define it again: ${define} && ${start}, or project-vm doctor --fix` }];
    }
    if (!pool || pool.active || posix.normalize(pool.path) !== folder) return [];
    // One that an update was making when it was killed mostly does not start with the host yet, and has nothing in it.
    if (!isOfVm && !pool.autostart) return [];
    const what = isOfVm ? "its project disk" : "whether its pool has a kept project disk";
    const rule = `${what} cannot be seen: the pool \`${poolOf}\` on ${inventory.uri} is stopped`;
    return [{ path, rule, remedy: `start it: ${start}, or project-vm doctor --fix` }];
  });
}

/** Whether libvirt lists a project disk and tells nothing of it. */
const isUnread = ({ inventory }: HostCheck, name: string) =>
  inventory.pools.some((pool) => pool.name === poolName(name) && pool.unread?.includes("project.qcow2"));

/** A project disk that cannot be read, with a VM or kept without one: it is there, and no new one may be begun. */
function unreadDiskIssues(check: HostCheck, name: string): Issue[] {
  if (!isUnread(check, name)) return [];
  const disk = posix.join(check.host.storageDir, name, "project.qcow2");
  const rule = `its project disk ${disk} is there, and must let libvirt read what it is, but does not`;
  const remedy = `see what is wrong with that file: virsh -c '${check.inventory.uri}' vol-dumpxml project.qcow2 --pool ${poolName(name)}; then try again`;
  return [{ path: placeOf(check, name), rule, remedy }];
}

/** A project disk that is not in its pool, though its VM has it. */
function lostDiskIssues(check: HostCheck, name: string, found: ProjectFound): Issue[] {
  const { inventory, host } = check;
  const folder = posix.join(host.storageDir, name);
  const pool = inventory.pools.find((one) => one.name === poolName(name));
  if (isUnread(check, name) || !isUnseen(check, name, found) || !pool?.active || posix.normalize(pool.path) !== folder)
    return [];
  const rule = `its project disk ${folder}/project.qcow2 must be there, but libvirt does not see it`;
  const give = virshInShell(inventory.uri, ...undefineCommand(domainName(name), true));
  const remedy = `put that file back; if it is lost: ${give}, then \`project-vm import\` a backup, or begin with a new disk`;
  return [{ path: placeOf(check, name), rule, remedy }];
}

function projectDiskIssues(check: HostCheck, name: string, { disk }: ProjectSettings, found: ProjectFound): Issue[] {
  const { projectDisk } = found;
  if (!projectDisk) return [];
  const foreign = foreignDisk(projectDisk);
  if (foreign.length > 0) return foreign.map((issue) => ({ ...issue, path: placeOf(check, name) }));
  if (disk >= projectDisk.capacity || mayBeBigger(found, disk)) return [];
  const has = formatSize(projectDisk.capacity);
  const rule = `must be at least ${has}, as the project disk ${projectDisk.path} is: a disk is never made smaller`;
  const remedy = `write \`${exactSize(projectDisk)}\` or more`;
  return [{ path: placeOf(check, name, "disk"), rule, value: formatSize(disk), remedy }];
}

function rootDiskIssues(check: HostCheck, name: string, settings: ProjectSettings, found: ProjectFound): Issue[] {
  const { rootDisk } = found;
  if (!rootDisk || settings.rootDisk >= rootDisk.capacity || wantsNewRoot(found, settings)) return [];
  const rule = `must be at least ${formatSize(rootDisk.capacity)}, as the root disk ${rootDisk.path} is`;
  const remedy = `write \`${exactSize(rootDisk)}\` or more, or have the root recreated by another text in \`rebuild\``;
  return [{ path: placeOf(check, name, "rootDisk"), rule, value: formatSize(settings.rootDisk), remedy }];
}

/** The least size in whole MiB that a disk has room in, as it would be written. */
function exactSize({ capacity }: VolumeFound): string {
  const bytes = Math.ceil(capacity / MiB) * MiB;
  return bytes % GiB === 0 ? `${bytes / GiB} GiB` : `${bytes / MiB} MiB`;
}

const placeOf = ({ file }: HostCheck, name: string, ...keys: string[]) => formatPath(file, ["projects", name, ...keys]);
