import { UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { domainName, domainUuid, isConsoleLog, namePrefix, ownerMark, poolName } from "../core/names.ts";
import { formatSize } from "../core/sizes.ts";
import { isRunning, shutDown } from "../guest/power.ts";
import { headerLength, notByItself, parseHeader } from "../images/qcow2.ts";
import { bearsMark, hasLostMark, isCopyXml, markRemedy } from "../libvirt/copies.ts";
import { requireUnused } from "../libvirt/disk-users.ts";
import { foreignDisk, notOurs } from "../libvirt/foreign-disk.ts";
import { parseDomain, parseVolume } from "../libvirt/libvirt-xml.ts";
import { ownDisks } from "../libvirt/manual-changes.ts";
import { markStarting, marksOf } from "../libvirt/marks.ts";
import { deleteVolume, refreshPool, startOfVolume, volumesIn } from "../libvirt/pool-volumes.ts";
import { requireNoRestore } from "../libvirt/restore-mark.ts";
import { shellFor } from "../libvirt/shell.ts";
import { requireReallyOff } from "../libvirt/unknown-guests.ts";
import type { BatchVirsh, Virsh } from "../libvirt/virsh.ts";
import type { VirshError } from "../libvirt/virsh-error.ts";
import { requireNoSavedMemory, requireOwnDisks } from "../project-disks/domain-look.ts";
import { requireNoOverlay } from "./overlays.ts";
import type { DisposableVolume } from "./plan.ts";

/** Whose VM it is, and where its disks are. */
export interface VmPlace {
  /** The stack's name. */
  owner: string;
  storageDir: string;
  /** Whether the host had no disk of its before this update: nothing can stand on one. */
  isNew?: boolean;
}

/**
 * Before a domain is defined: one of that name may be there, to be redefined, or because an update was cut off or the
 * state was lost. Its guest is shut down in order; what is defined then takes its place, on the same disks.
 *
 * @throws UserError when it belongs to somebody else, has other disks than ours or saved memory, or runs unknown to its libvirt;
 *   where there is none, when an overlay stands on ours
 */
export async function makeWayForDomain(virsh: BatchVirsh, project: string, place: VmPlace, log: Log): Promise<void> {
  const domain = domainName(project);
  await requireReallyOff(virsh, domain);
  await requireNoRestore(virsh, project);
  if (!(await names(virsh)).includes(domain)) {
    if (!place.isNew) await requireNoOverlay(virsh, project, log);
    return;
  }
  await requireUnmoved(virsh, project, place);
  await requireNoSavedMemory(virsh, project, place.owner);
  const pool = poolName(project);
  const logs = await oldConsoleLogs(virsh, pool);
  await shutDownToStartAgain(virsh, domain, log);
  for (const volume of logs) await virsh.run("vol-delete", volume, "--pool", pool);
  // Under the same UUID it is changed in place; under another one libvirt would refuse a second of that name.
  const { uuid } = parseDomain(await virsh.run("dumpxml", domain));
  if (uuid !== domainUuid(project)) await undefine(virsh, domain);
}

/** Earlier versions had it in the pool's folder, where libvirt looks into whatever a guest has written. */
const oldConsoleLogs = async (virsh: Virsh, pool: string) =>
  [...(await volumesIn(virsh, pool)).keys()].filter(isConsoleLog);

/**
 * Before a domain is defined that is on the host already just as it should be, only the state does not know it: a guest that
 * runs is suspended to disk, and resumes when libvirt starts what was defined. It does not reboot.
 *
 * @throws UserError when it belongs to somebody else, has other disks than ours or saved memory, or runs unknown to its libvirt
 */
export async function suspendDomain(virsh: Virsh, project: string, place: VmPlace, log: Log): Promise<void> {
  const domain = domainName(project);
  await requireReallyOff(virsh, domain);
  await requireNoRestore(virsh, project);
  if (!(await names(virsh)).includes(domain)) return;
  await requireUnmoved(virsh, project, place);
  if (!(await isRunning(virsh, domain))) {
    // One that a cut-off update suspended to disk resumes now. Any other is not to run, and the provider would drop its memory.
    const { starting } = await marksOf(virsh, domain);
    if (!starting) await requireNoSavedMemory(virsh, project, place.owner);
    return;
  }
  try {
    await markStarting(virsh, domain, true);
    await virsh.run("managedsave", domain, "--running");
    log(`${domain}: suspended to disk; it resumes without a restart`);
  } catch (error) {
    log(`${domain}: cannot be suspended to disk (${(error as VirshError).reason}), so it restarts`);
    await shutDownToStartAgain(virsh, domain, log);
  }
}

/**
 * Before a root disk or a seed is recreated: the guest is shut down in order and the old one removed. There is no other volume
 * that this would remove.
 *
 * @throws UserError when the domain is somebody else's, has other disks than ours or saved memory, or runs unknown to its libvirt; or
 *   when something else uses the file
 */
export async function makeWayForVolume(
  virsh: BatchVirsh,
  project: string,
  volume: DisposableVolume,
  place: VmPlace,
  log: Log,
): Promise<void> {
  const domain = domainName(project);
  await requireReallyOff(virsh, domain);
  const isThere = (await names(virsh)).includes(domain);
  if (isThere) {
    await requireUnmoved(virsh, project, place);
    await requireNoSavedMemory(virsh, project, place.owner);
  }
  const pool = poolName(project);
  await refreshPool(virsh, pool);
  const path = (await volumesIn(virsh, pool)).get(volume);
  const title = `The ${volume} of ${project} is not recreated. Nothing was changed.`;
  if (path !== undefined) await requireUnused(virsh, shellFor(virsh.uri), { domain, pool }, path, title);
  if (isThere) await shutDownToStartAgain(virsh, domain, log);
  await deleteVolume(virsh, pool, volume);
}

/**
 * A new root cannot be smaller than its base image; better known before the old one is gone.
 *
 * @param image path of the base image on the host
 * @param size of the root disk, in bytes
 * @throws UserError with both sizes
 */
export async function requireRoomForImage(virsh: Virsh, project: string, image: string, size: number): Promise<void> {
  const { capacity } = parseVolume(await virsh.run("vol-dumpxml", image));
  if (capacity <= size) return;
  throw new UserError(`The root disk of ${project} is too small for its base image.`, [
    {
      path: `projects.${project}.rootDisk`,
      rule: `must be at least ${formatSize(capacity)}, as ${image} is`,
      value: formatSize(size),
      remedy: `write \`${formatSize(capacity)}\` or more`,
    },
  ]);
}

/** Should the rest of the update not come about, the next one finds that the guest is to run. */
async function shutDownToStartAgain(virsh: Virsh, domain: string, log: Log): Promise<void> {
  if (await isRunning(virsh, domain)) await markStarting(virsh, domain, true);
  await shutDown(virsh, domain, log);
}

/** @throws UserError when a domain is somebody else's, or has other disks than ours */
async function requireUnmoved(virsh: Virsh, project: string, { owner, storageDir }: VmPlace): Promise<void> {
  await requireOwn(virsh, domainName(project), owner);
  await requireOwnDisks(virsh, project, ownDisks(storageDir, project), owner);
}

/** @throws UserError when a domain does not bear this owner's mark, or is a copy of one that does */
export async function requireOwn(virsh: Virsh, domain: string, owner: string): Promise<void> {
  const description = (await virsh.run("desc", domain)).trim();
  const isMarked = bearsMark(description, owner);
  const found = parseDomain(await virsh.run("dumpxml", domain));
  if (isMarked && !isCopyXml(found)) return;
  if (hasLostMark({ ...found, description })) throw await withoutMark(virsh, domain, found.description ?? "", owner);
  throw new UserError(`The domain ${domain} on this host belongs to somebody else.`, [
    {
      path: domain,
      rule: isMarked
        ? "must be a VM of this stack, but is a copy of one, with its mark and other disks (virt-manager, virt-clone)"
        : `a domain that is adopted must be marked "${ownerMark(owner)}"`,
      ...(isMarked ? {} : { value: description }),
      remedy: "rename the project, or remove that domain by hand if it is not needed",
    },
  ]);
}

async function withoutMark(virsh: Virsh, domain: string, description: string, owner: string): Promise<UserError> {
  const isOff = (await virsh.run("domstate", domain)).trim() === "shut off";
  const rule = `a domain that is worked on must be marked "${ownerMark(owner)}"`;
  const project = domain.slice(namePrefix.length);
  const remedy = markRemedy(virsh.uri, owner, { project, isOff, description });
  return new UserError(`The domain ${domain} on this host does not say which stack it is of.`, [
    { path: domain, rule, value: description, remedy },
  ]);
}

/**
 * What takes a definition away of which libvirt keeps more: snapshots, checkpoints, the firmware's variables.
 *
 * @param memoryToo whether saved memory goes as well; else libvirt refuses a domain that has some
 */
export const undefineCommand = (domain: string, memoryToo: boolean): [string, ...string[]] => [
  "undefine",
  domain,
  ...(memoryToo ? ["--managed-save"] : []),
  ...["--snapshots-metadata", "--checkpoints-metadata", "--nvram"],
];

/**
 * Takes a domain's definition away, with all that libvirt keeps beside it; its disks are none of that. One that had none is gone.
 *
 * @param memoryToo whether saved memory goes as well; else libvirt refuses a domain that has some by now
 */
export async function undefine(virsh: Virsh, domain: string, memoryToo = false): Promise<void> {
  if (!(await names(virsh)).includes(domain)) return;
  await virsh.run(...undefineCommand(domain, memoryToo));
}

/** Names of all domains on the host. */
export const names = async (virsh: Virsh) => (await virsh.run("list", "--all", "--name")).split("\n").filter(Boolean);

/**
 * A volume of the project disk's name that is on the host will be adopted as it is: so it must be a project disk, and stand by
 * itself. What libvirt shows of it tells neither of an external data file, which QEMU would open whatever it is, nor of a key.
 *
 * @returns whether there is one
 * @throws UserError when it is no qcow2, is encrypted, or needs another file
 */
export async function requireDataDisk(virsh: Virsh, project: string): Promise<boolean> {
  const pool = poolName(project);
  await refreshPool(virsh, pool);
  if (!(await volumesIn(virsh, pool)).has("project.qcow2")) return false;
  const volume = parseVolume(await virsh.run("vol-dumpxml", "project.qcow2", "--pool", pool));
  const issues = foreignDisk(volume);
  if (issues.length === 0) {
    const header = parseHeader(await startOfVolume(virsh, pool, "project.qcow2", headerLength));
    const issue = header && notByItself(header);
    if (!issue) return true;
    issues.push({ path: volume.path, rule: `its project disk ${issue.rule}`, remedy: notOurs });
  }
  throw new UserError(`The project disk of ${project} is not adopted. Nothing on it was changed.`, issues);
}
