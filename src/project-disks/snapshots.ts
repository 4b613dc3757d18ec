import { UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { formatSize, TiB } from "../core/sizes.ts";
import { shutDown } from "../guest/power.ts";
import { requireUnused } from "../libvirt/disk-users.ts";
import { markStarting, marksOf } from "../libvirt/marks.ts";
import { type Shell, shellFor } from "../libvirt/shell.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { quoteForVirsh } from "../libvirt/virsh-line.ts";
import type { Snapshot } from "./disk-image.ts";
import { domainState, explainLock, refuseCheckpoints, refuseSavedMemory, requireOwnDisk } from "./domain.ts";
import { GuestNotThawed, whileFrozen } from "./freeze.ts";
import { runScript } from "./host-script.ts";
import { diskNode, monitorAnswer, monitorRequest } from "./monitor.ts";
import { type ProjectDisk, projectDisk, readDisk, type StorageHost, snapshotsOf } from "./project-disk.ts";
import { checkSnapshotName, findSnapshot, refuseTwin, safetyName } from "./snapshot-names.ts";

export type { Snapshot } from "./disk-image.ts";

/**
 * Snapshots of project disks: states that a disk can be brought back to, kept in the disk's own file (qcow2's internal
 * snapshots). They cost what has changed since. They go with the disk, so they are no backup.
 */

/** The longest that QEMU may take to delete a snapshot, in seconds. */
const deletionSeconds = 900;

const oldFormat =
  "its disk is of qcow2's old format, and cannot become bigger while it has snapshots; the next snapshot that is made while its VM is off mends that";

const withSavedMemory =
  "its memory is saved (virsh managedsave), so the snapshot is as after a power cut; for a whole one start it first";

/** The snapshots of a project's disk, in the order in which they were made. Also while its VM runs. */
export async function listSnapshots(host: StorageHost, project: string): Promise<Snapshot[]> {
  return readSnapshots(shellFor(host.uri), projectDisk(host, project));
}

const readSnapshots = async (shell: Shell, disk: ProjectDisk) => snapshotsOf(disk, await readDisk(shell, disk));

/**
 * Makes a snapshot. A guest that runs is frozen for that moment, so that its filesystem is in order; where its agent
 * does not answer, the snapshot is as after a power cut, and that is said.
 *
 * @returns what the disk then says of it
 * @throws UserError when the name is taken or cannot be, or there is no such disk; GuestNotThawed when it was made, and
 *   its guest did not thaw
 * @example await createSnapshot(host, "myapp", "before-upgrade", console.error)
 */
export async function createSnapshot(host: StorageHost, project: string, name: string, log: Log): Promise<Snapshot> {
  checkSnapshotName(name);
  const disk = projectDisk(host, project);
  const shell = shellFor(host.uri);
  const found = await readDisk(shell, disk);
  refuseTwin(name, snapshotsOf(disk, found));
  const domain = await domainState(disk);
  await requireOwnDisk(disk, domain);
  if (domain.state === "active") {
    await requireNoRestore(shell, disk);
    await snapshotLive(shell, disk, name, log);
    if (found.isOldFormat) log(`${project}: ${oldFormat}`);
  } else {
    if (domain.hasSavedMemory) log(`${project}: ${withSavedMemory}`);
    await onDisk(shell, disk, "create", name);
  }
  log(`${project}: made the snapshot ${name}`);
  return findSnapshot(name, await readSnapshots(shell, disk));
}

/**
 * Deletes a snapshot. The disk itself stays as it is, and the VM may run.
 *
 * @throws UserError when there is none of that name
 */
export async function deleteSnapshot(host: StorageHost, project: string, name: string, log: Log): Promise<void> {
  checkSnapshotName(name);
  const disk = projectDisk(host, project);
  const shell = shellFor(host.uri);
  findSnapshot(name, await readSnapshots(shell, disk));
  const domain = await domainState(disk);
  await requireOwnDisk(disk, domain);
  if (domain.state === "active") {
    await requireNoRestore(shell, disk);
    const virsh = virshFor(host.uri, deletionSeconds);
    const args = { device: await diskNode(virsh, disk), name };
    const request = monitorRequest("blockdev-snapshot-delete-internal-sync", args);
    monitorAnswer(disk, await virsh.run("qemu-monitor-command", disk.domain, request));
  } else await onDisk(shell, disk, "delete", name);
  log(`${project}: deleted the snapshot ${name}`);
}

/**
 * Brings a disk back to a snapshot. Its VM is shut down first and, if it ran, started again afterwards. What was on the
 * disk before becomes a snapshot too, and the disk keeps its size. Interrupted, it leaves a mark beside the disk: while that
 * stands, the VM is not started and nothing is done with the disk but the same restore, or any other once its snapshot is gone.
 *
 * @returns the name of the snapshot of the state before
 * @throws UserError when there is none of that name, or none of its size can be, the VM has saved memory that only the disk as it
 *   is fits, something else uses the disk, libvirt keeps checkpoints in it, or a restore to another snapshot was cut off;
 *   where that of a restore which was cut off is gone, naming what to go back to
 */
export async function restoreSnapshot(host: StorageHost, project: string, name: string, log: Log): Promise<string> {
  checkSnapshotName(name);
  const disk = projectDisk(host, project);
  const shell = shellFor(host.uri);
  const found = await readDisk(shell, disk);
  const snapshots = snapshotsOf(disk, found);
  const marks = await marksOfRestores(shell, disk);
  // Of one that was cut off and whose snapshot is gone the script keeps what the disk holds, and names the way out.
  const isGone = marks.has(name) && !snapshots.some((one) => one.name === name);
  if (isGone) await requireNoRestore(shell, disk, name);
  const snapshot = isGone ? undefined : findSnapshot(name, snapshots);
  const size = Math.max(found.virtualSize, ...sizesToHave(disk, [name, ...marks.values()], snapshots));
  const domain = await domainState(disk);
  await requireOwnDisk(disk, domain);
  refuseSavedMemory(disk, domain);
  const wasActive = domain.state === "active";
  const virsh = virshFor(host.uri);
  await requireUnused(virsh, shell, disk, disk.file, "The snapshot was not restored.");
  if (wasActive) await refuseCheckpoints(virsh, disk);
  // One that was cut off had shut it down to start it again.
  const starts = wasActive || (domain.state === "off" && (await marksOf(virsh, disk.domain)).starting === true);
  if (wasActive) {
    // Should this be cut off while the guest is off, the same restore starts it.
    await markStarting(virsh, disk.domain, true);
    await shutDown(virsh, disk.domain, log);
  }
  const safety = safetyName(new Date(), snapshots);
  const args = [disk.file, name, safety, String(size), shell.uri, ...(starts ? [disk.domain] : [])];
  const title = "The snapshot was not restored.";
  const printed = await runScript(shell, "restore.sh", args, title, { toTheEnd: true, onLine: log }).catch(
    (error: unknown) => {
      if (starts) log(`${disk.domain} is left off; once all is well, start it: ${startCommand(disk)}`);
      throw explainLock(error, disk);
    },
  );
  const before = printed.trim();
  const made = snapshot ? ` of ${snapshot.created.toISOString()}` : "";
  log(`${project}: restored ${name}${made}; what was there before is the snapshot ${before}`);
  const sizeThen = snapshot?.diskSize ?? found.virtualSize;
  if (sizeThen < size)
    log(`${project}: its disk had ${formatSize(sizeThen)} then, and has its ${formatSize(size)} again`);
  if (starts) {
    await markStarting(virsh, disk.domain, false);
    log(`${disk.domain}: started again`);
  } else if (domain.state === "off") log(`${disk.domain} is off, as it was: ${startCommand(disk)}`);
  return before;
}

/** qcow2's own limit with its usual clusters of 64 KiB: a table of at most 32 MiB, each 8 bytes of which lead to 512 MiB. */
const largestDisk = 2048 * TiB;
const sector = 512;

/** Prints each mark of a restore with what it has noted first, the name of the snapshot of the state before. */
const readMarks = 'for mark in "$1"*; do [ ! -e "$mark" ] || echo "$mark $(head -n 1 "$mark")"; done';

/** The marks of restores that were cut off: by their snapshots, the names of those of the states before. */
async function marksOfRestores(shell: Shell, { file }: ProjectDisk): Promise<Map<string, string>> {
  const start = `${file}.restoring.`;
  const printed = await shell.run(["sh", "-c", readMarks, "sh", start]);
  const lines = printed.split("\n").map((line) => line.slice(start.length).split(" "));
  return new Map(lines.flatMap(([name = "", before]): [string, string][] => (before ? [[name, before]] : [])));
}

/**
 * Which sizes besides that of now a disk has to have room for after a restore: the snapshot's, and, where a restore was cut off before
 * the disk grew again, what the snapshot of the state before knows. What the image says of all others does not matter.
 *
 * @param names of those that count
 * @throws UserError for one that QEMU could not give it: the mark of the restore would keep the VM off for ever
 */
function sizesToHave(disk: ProjectDisk, names: string[], there: Snapshot[]): number[] {
  return there.flatMap(({ name, diskSize }) => {
    if (diskSize === null || !names.includes(name)) return [];
    if (diskSize <= largestDisk && diskSize % sector === 0) return [diskSize];
    throw new UserError("The snapshot was not restored.", [
      {
        path: `${disk.file}: snapshot ${name}`,
        rule: `must be of a size that a disk can have, in whole sectors of ${sector} bytes up to ${formatSize(largestDisk)}`,
        value: diskSize,
        remedy: "go back to a backup: docs/data.md",
      },
    ]);
  });
}

const startCommand = ({ host, domain }: ProjectDisk) => `virsh -c '${host.uri}' start ${domain}`;

async function snapshotLive(shell: Shell, disk: ProjectDisk, name: string, log: Log): Promise<void> {
  const device = await diskNode(virshFor(disk.host.uri), disk);
  const request = monitorRequest("blockdev-snapshot-internal-sync", { device, name });
  const command = `qemu-monitor-command ${disk.domain} ${quoteForVirsh(request)}`;
  const { wasFrozen, output, notThawed } = await whileFrozen(shell, disk, command, "The snapshot was not made.");
  // Whatever became of the snapshot.
  if (notThawed) log(`${notThawed.path}: ${notThawed.rule}`);
  const answer = output.split("\n").find((line) => line.startsWith("{"));
  if (!answer) throw new UserError(`QEMU made no snapshot of ${disk.file}: ${output.trim()}`);
  monitorAnswer(disk, answer);
  if (!wasFrozen) log(`${disk.name}: the guest's agent did not freeze the disk: the snapshot is as after a power cut`);
  if (notThawed) throw new GuestNotThawed(`The snapshot ${name} was made, but the guest may be frozen.`, [notThawed]);
}

/** On the disk of a VM that is off. */
async function onDisk(shell: Shell, disk: ProjectDisk, action: "create" | "delete", name: string): Promise<void> {
  const args = [action, disk.file, name];
  const title = `The snapshot was not ${action}d.`;
  await runScript(shell, "snapshot.sh", args, title, { toTheEnd: true }).catch((error: unknown) => {
    throw explainLock(error, disk);
  });
}

/**
 * @param snapshot that it is to be restored to
 * @throws UserError when a restore of the disk was cut off, or to another snapshot that is there still
 */
async function requireNoRestore(shell: Shell, disk: ProjectDisk, snapshot?: string): Promise<void> {
  const args = [disk.file, ...(snapshot === undefined ? [] : [snapshot])];
  await runScript(shell, "no-restore.sh", args, "The project disk is not changed.");
}
