import { posix } from "node:path";
import type { TailnetSettings } from "../config/settings.ts";
import type { Log } from "../core/log.ts";
import { domainName, hostName, isConsoleLog, poolName } from "../core/names.ts";
import { printableLine } from "../core/printable.ts";
import { GuestAgent } from "../guest/agent.ts";
import { shutDown, shutdownSeconds } from "../guest/power.ts";
import { leaveTailnet } from "../guest/tailnet-join.ts";
import { consoleLogFile, removeConsoleLog } from "../libvirt/console-log.ts";
import { type DiskUser, knownUserOf, possibleUserOf, usersOfFiles } from "../libvirt/disk-users.ts";
import { type DomainMarks, parsePool } from "../libvirt/libvirt-xml.ts";
import { ownDisks } from "../libvirt/manual-changes.ts";
import { marksOf } from "../libvirt/marks.ts";
import { deleteVolume, namesIn, refreshPool, volumesIn } from "../libvirt/pool-volumes.ts";
import { isRestoreMark } from "../libvirt/restore-mark.ts";
import { type Shell, shellFor } from "../libvirt/shell.ts";
import { requireReallyOff } from "../libvirt/unknown-guests.ts";
import type { BatchVirsh, Virsh } from "../libvirt/virsh.ts";
import { hasSavedMemory, requireNoSavedMemory, requireOwnDisks } from "../project-disks/domain-look.ts";
import { type ApiConfig, accessOf } from "../tailnet/access.ts";
import type { TailnetDevice } from "../tailnet/device.ts";
import { removeVmDevice, tailnetDevices, type VmIdentity } from "../tailnet/devices.ts";
import { programOn } from "./disk-program.ts";
import { againIfGone } from "./gone.ts";
import { removeFilter } from "./network-filter.ts";
import { names, requireOwn, undefine } from "./replace.ts";

/** What a project's teardown must know. */
export interface Teardown {
  uri: string;
  project: string;
  /** The stack's name. */
  owner: string;
  /** The checkout whose embedded host it is on, if it is on one that is its checkout's own. */
  checkout?: string | undefined;
  /** The host's folder for VMs; one that an earlier version made does not have it. */
  storageDir?: string | undefined;
  /** Whether the project disk stays. */
  keepData: boolean;
  /** The tailnet that it leaves. */
  tailnet?: Pick<TailnetSettings, "tag" | "headscale" | "server" | "domain"> | undefined;
}

/** Seconds for a guest to log out of its tailnet. */
const logOutSeconds = 30;

/** What others may use of what goes with a VM. */
const ownFiles = ["disk.qcow2", "seed.iso", "project.qcow2"];

/** What goes with a VM, unless others use it; all of it can be made again. */
const isDisposable = (volume: string) => ["disk.qcow2", "seed.iso"].includes(volume) || isConsoleLog(volume);

/**
 * Takes a project's VM away: the guest shuts down in order, then its definition, root disk, seed and console log go. The
 * project disk goes only where `keepData` is false and its domain says so too, and only with that one off, and no other one and no
 * program on it; before the domain goes, whose word would be lost with it. Saved memory goes only with that disk. The pool goes
 * when nothing is left in it. Its device leaves the tailnet, also when the VM was dead or never up. Can be cut off at any point
 * and done again.
 *
 * @param api credentials for the tailnet's API
 * @throws UserError when the domain is another stack's, has other disks than ours, or saved memory of a disk that stays, or when it
 *   runs and its libvirt does not know that: nothing is removed then; or, when all else is done, when the tailnet's API cannot be asked
 */
export function tearDown(virsh: BatchVirsh, teardown: Teardown, api: ApiConfig, log: Log): Promise<void> {
  const noted: Noted = {};
  return againIfGone(() => tearDownOnce(virsh, teardown, api, log, noted));
}

/** What a domain said before it went. */
interface Noted {
  device?: DomainMarks["tailnet"];
}

async function tearDownOnce(
  virsh: BatchVirsh,
  teardown: Teardown,
  api: ApiConfig,
  log: Log,
  noted: Noted,
): Promise<void> {
  const { project, owner, storageDir, tailnet } = teardown;
  const domain = domainName(project);
  let users: DiskUser[] | undefined;
  let { keepData } = teardown;
  await requireReallyOff(virsh, domain);
  const isThere = (await names(virsh)).includes(domain);
  if (isThere) {
    await requireOwn(virsh, domain, owner);
    await requireOwnDisks(virsh, project, await disksToHave(virsh, project), owner);
    const marks = await marksOf(virsh, domain);
    noted.device = marks.tailnet;
    // An update that was to note it was cut off: what a preview says, which goes by the mark, holds.
    if (!keepData && marks.keepData !== false) {
      keepData = true;
      log(keptAlthough(project, "no update has come so far as to note that"));
    }
    await requireNoMemoryOfKept(virsh, teardown, keepData, log);
    const access = tailnet && accessOf(tailnet, api);
    if (noted.device && !access) await logOut(virsh, project, log);
    const nothingStays = async () => !keepData && (await fateNow(virsh, project, log, true)).kept === undefined;
    await shutDown(virsh, domain, log, shutdownSeconds, nothingStays);
    users = await usersIn(virsh, project, log, !keepData);
    const stays = keepData || !(await deleteProjectDisk(virsh, project, users, log));
    // It may have been saved since.
    if (stays) await requireNoSavedMemory(virsh, project, owner);
    await undefine(virsh, domain, !stays);
  } else if (!keepData) await sayThatUnknownIsKept(virsh, project, log);
  // A domain that others renamed, and one that they copied, goes on with these disks.
  if (!isThere) users = await usersIn(virsh, project, log);
  if (users) await removeStorage(virsh, project, users, log);
  await removeFilter(virsh, project);
  if (storageDir !== undefined) await removeConsole(shellFor(virsh.uri), storageDir, project, log);
  if (tailnet) await removeDevice(project, tailnet, noted.device, api, log);
}

/** The disks that it should have: those of the pool that they will be removed from, if it is there. */
async function disksToHave(virsh: Virsh, project: string): Promise<Record<string, string>> {
  const pool = poolName(project);
  if (!(await poolNames(virsh)).includes(pool)) return {};
  return ownDisks(posix.dirname(parsePool(await virsh.run("pool-dumpxml", pool)).path), project);
}

/** Without an API the guest itself can only end its login; the device stays on the tailnet's list. */
async function logOut(virsh: Virsh, project: string, log: Log): Promise<void> {
  const said = await leaveTailnet(new GuestAgent(virsh, domainName(project)), logOutSeconds).then(
    () => "logged out of its tailnet; without the API's credentials its device stays there: remove it by hand",
    ({ message }: Error) =>
      `did not log out of its tailnet: its login stays valid until its device is removed there by hand. ${message}`,
  );
  log(`${project}: ${said}`);
}

async function removeDevice(
  project: string,
  tailnet: NonNullable<Teardown["tailnet"]>,
  device: DomainMarks["tailnet"],
  api: ApiConfig,
  log: Log,
): Promise<void> {
  const access = accessOf(tailnet, api);
  if (!access) return;
  const identity = { hostname: hostName(project), tag: tailnet.tag, ...device };
  const { removed, foreign } = await removeVmDevice(tailnetDevices(access), identity);
  for (const { name } of removed) log(`${project}: its device ${named(name)} left the tailnet`);
  for (const device of foreign) log(`${project}: ${describeForeign(device, identity)}`);
  // The guest may have said that it is another, and gone by another name.
  if (device && removed.length + foreign.length === 0) {
    log(
      `${project}: none of the tailnet's devices is known to be its; if it has one there by another name, remove that by hand`,
    );
  }
}

/** A text that a machine gives itself can be any; one that a terminal could break into lines of ours is not repeated. */
const named = (text: string) => (/^[\w.:-]{1,100}$/.test(text) ? text : "of an odd name");

function describeForeign({ id, name, hostname, tags }: TailnetDevice, { tag }: VmIdentity): string {
  const what = `the device ${named(name)} (${named(id)}) in the tailnet`;
  if (!tags.includes(tag)) return `${what} is not ours (tags: ${tags.map(named).join(", ") || "none"}) and stays`;
  return `${what} calls itself ${named(hostname)} and may be another VM's: it stays; remove it by hand if it was this one's`;
}

/** Has libvirt look at what is in a project's pool; false: there is none. */
async function openPool(virsh: Virsh, project: string): Promise<boolean> {
  const pool = poolName(project);
  if (!(await poolNames(virsh)).includes(pool)) return false;
  await virsh.run("pool-start", pool).catch(() => undefined); // it may run already
  await refreshPool(virsh, pool);
  return true;
}

/** What else uses the files in a project's pool, or may, right now; undefined: there is no pool. */
async function usersIn(virsh: BatchVirsh, project: string, log: Log, isData = false): Promise<DiskUser[] | undefined> {
  if (!(await openPool(virsh, project))) return undefined;
  const pool = poolName(project);
  const files = [...(await volumesIn(virsh, pool))].flatMap(([name, path]) => (ownFiles.includes(name) ? [path] : []));
  if (files.length === 0) return [];
  return usersOfFiles(virsh, shellFor(virsh.uri), { domain: domainName(project), pool, files, isData, log });
}

/** All in it can be made again: what is only not known to be unused is removed. */
async function removeStorage(virsh: Virsh, project: string, users: DiskUser[], log: Log): Promise<void> {
  const pool = poolName(project);
  for (const [volume, path] of await volumesIn(virsh, pool)) {
    if (!isDisposable(volume)) continue;
    const user = knownUserOf(users, path);
    if (user) log(`${project}: ${path} is kept: ${user}`);
    else await virsh.run("vol-delete", volume, "--pool", pool);
  }
  await removeIfEmpty(virsh, pool, log);
}

/** Libvirt does not reach it. Where this user may not remove it either, that is no reason to keep the rest. */
async function removeConsole(shell: Shell, storageDir: string, project: string, log: Log): Promise<void> {
  await removeConsoleLog(shell, storageDir, project).catch((error: Error) => {
    log(`${project}: its console log stays (${consoleLogFile(storageDir, project)}): ${printableLine(error.message)}`);
  });
}

/** Others removed the domain, or it never came about: what it noted about its data is not known. */
async function sayThatUnknownIsKept(virsh: Virsh, project: string, log: Log): Promise<void> {
  const isThere = await openPool(virsh, project);
  if (!isThere || !(await volumesIn(virsh, poolName(project))).has("project.qcow2")) return;
  const kept = "its domain is gone, and what that noted is not known";
  log(keptAlthough(project, `${kept}; to remove the disk: project-vm purge ${project}`));
}

/**
 * Before anything is done: whether the disk goes is looked at again when the guest is off, but what its guest has not written is to be
 * there still if it does not.
 */
async function requireNoMemoryOfKept(
  virsh: BatchVirsh,
  { project, owner }: Teardown,
  keepData: boolean,
  log: Log,
): Promise<void> {
  if (!(await hasSavedMemory(virsh, domainName(project)))) return;
  const kept = keepData ? undefined : (await fateNow(virsh, project, log)).kept;
  if (kept !== undefined) log(keptAlthough(project, kept));
  if (keepData || kept !== undefined) await requireNoSavedMemory(virsh, project, owner);
}

/** What becomes of a project disk that is to go with its VM: where it is, if it is there, and why it stays all the same, if it does. */
interface Fate {
  path?: string | undefined;
  kept?: string | undefined;
}

const keptAlthough = (project: string, kept: string) =>
  `${project}: its project disk is kept, although keepData is false: ${kept}`;

/**
 * @param users of what is in its pool; undefined: there is none
 * @param isOn whether its guest is on, so that the program on it is the VM's own
 */
async function fateOfDisk(virsh: Virsh, project: string, users: DiskUser[] | undefined, isOn = false): Promise<Fate> {
  if (!users) return { kept: "its pool is gone" };
  const path = (await volumesIn(virsh, poolName(project))).get("project.qcow2");
  if (path === undefined) return {};
  const user = possibleUserOf(users, path) ?? (isOn ? undefined : await programOn(shellFor(virsh.uri), path));
  return { path, kept: user && `${user} (${path})` };
}

const fateNow = async (virsh: BatchVirsh, project: string, log: Log, isOn = false) =>
  fateOfDisk(virsh, project, await usersIn(virsh, project, log, true), isOn);

/** @returns whether it is gone */
async function deleteProjectDisk(virsh: Virsh, project: string, users: DiskUser[] | undefined, log: Log) {
  const { path, kept } = await fateOfDisk(virsh, project, users);
  if (kept !== undefined) log(keptAlthough(project, kept));
  if (kept !== undefined || !path) return kept === undefined;
  const pool = poolName(project);
  await deleteVolume(virsh, pool, "project.qcow2");
  // Of a restore that was cut off: it says nothing without the disk.
  for (const name of [...(await volumesIn(virsh, pool)).keys()].filter(isRestoreMark))
    await deleteVolume(virsh, pool, name);
  log(`${project}: its project disk is deleted (keepData is false)`);
  return true;
}

async function removeIfEmpty(virsh: Virsh, pool: string, log: Log): Promise<void> {
  const left = await volumesIn(virsh, pool);
  if (left.size > 0) {
    log(`${pool}: kept ${[...left.values()].join(", ")}`);
    return;
  }
  await virsh.run("pool-destroy", pool);
  // Refused by libvirt when the folder holds what is no volume: then the folder stays.
  await virsh.run("pool-delete", pool).catch(() => undefined);
  await virsh.run("pool-undefine", pool);
}

const poolNames = async (virsh: Virsh) => namesIn(await virsh.run("pool-list", "--all", "--name"));
