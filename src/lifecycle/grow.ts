import { guestText } from "../core/guest-values.ts";
import type { Log } from "../core/log.ts";
import { diskSerial, domainName, poolName } from "../core/names.ts";
import { indented } from "../core/printable.ts";
import { formatSize } from "../core/sizes.ts";
import { GuestAgent } from "../guest/agent.ts";
import { isPausedByFullHost, isRunning } from "../guest/power.ts";
import { parseVolume } from "../libvirt/libvirt-xml.ts";
import { targetOf } from "../libvirt/manual-changes.ts";
import { refreshPool } from "../libvirt/pool-volumes.ts";
import { requireReallyOff } from "../libvirt/unknown-guests.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { requireNoSavedMemory, requireOwnDisks } from "../project-disks/domain-look.ts";
import { hostFull, resumeAfterFullHost } from "./host-full.ts";

/** One of a VM's two disks that can grow. */
interface GrowingDisk {
  role: "root" | "project";
  volume: "disk.qcow2" | "project.qcow2";
  /** Device name in the domain, where nothing has given it another. */
  target: "vda" | "vdb";
}

const growingDisks: Record<GrowingDisk["role"], GrowingDisk> = {
  root: { role: "root", volume: "disk.qcow2", target: "vda" },
  project: { role: "project", volume: "project.qcow2", target: "vdb" },
};

/** How long the guest may take to grow its filesystems, in seconds: an emulated one with a large disk takes minutes. */
const filesystemSeconds = 600;

/**
 * Makes a VM's disks at least as big as asked for, with all that is on them, and in a running guest their filesystems too; a
 * guest that is off does it at its next boot. Can be cut off at any point and done again.
 *
 * @param sizes in bytes; a disk that is as big already, or bigger, is left as it is
 * @param always whether a running guest's filesystems are looked at also when no disk was too small: an earlier run may
 *   have been cut off between the two
 * @throws UserError when the host is full, or the VM has another disk in its place or saved memory; VirshError when it refuses;
 *   Error when the guest's filesystem cannot grow
 */
export async function growDisks(
  virsh: Virsh,
  project: string,
  sizes: Record<GrowingDisk["role"], number>,
  log: Log,
  always = false,
): Promise<void> {
  if (always) await resumeAfterFullHost(virsh, project, log);
  const end = performance.now() + filesystemSeconds * 1000;
  try {
    for (const disk of [growingDisks.project, growingDisks.root]) {
      const grown = await growVolume(virsh, project, disk, sizes[disk.role], log);
      if (grown || always) await growFilesystem(virsh, project, disk, { log, grown, end });
    }
  } catch (error) {
    throw (await isPausedByFullHost(virsh, domainName(project))) ? await hostFull(virsh, project) : error;
  }
}

async function growVolume(virsh: Virsh, project: string, disk: GrowingDisk, size: number, log: Log): Promise<boolean> {
  const pool = poolName(project);
  const { capacity, path } = parseVolume(await virsh.run("vol-dumpxml", disk.volume, "--pool", pool));
  if (capacity >= size) return false;
  const domain = domainName(project);
  const devices = await requireOwnDisks(virsh, project, { [disk.target]: path });
  if (await isRunning(virsh, domain)) {
    const target = targetOf(project, path, devices) ?? disk.target;
    await virsh.run("blockresize", domain, target, `${size}B`);
  } else {
    await requireReallyOff(virsh, domain);
    await requireNoSavedMemory(virsh, project);
    await virsh.run("vol-resize", disk.volume, `${size}B`, "--pool", pool);
  }
  await refreshPool(virsh, pool);
  log(`${domain}: ${disk.role} disk grown from ${formatSize(capacity)} to ${formatSize(size)}`);
  return true;
}

/** In the guest: the partition if there is one, then the filesystem. Does nothing where there is nothing to grow. */
const growScript = `
set -eu
device=$(readlink -f "/dev/disk/by-id/virtio-$1")
[ "$2" = project ] || {
  device=$(findmnt --noheadings --output SOURCE /)
  disk=/dev/$(lsblk --noheadings --output PKNAME "$device" | head -n 1)
  growpart "$disk" "$(cat "/sys/class/block/\${device#/dev/}/partition")" || [ $? -eq 1 ]
}
resize2fs "$device"`;

async function growFilesystem(
  virsh: Virsh,
  project: string,
  { role }: GrowingDisk,
  { log, grown, end }: { log: Log; grown: boolean; end: number },
): Promise<void> {
  const domain = domainName(project);
  const agent = new GuestAgent(virsh, domain);
  if (!(await isRunning(virsh, domain))) return;
  if (!(await agent.answers())) {
    // Why, growDisks tells.
    if (await isPausedByFullHost(virsh, domain)) throw new Error(`${domain} is paused`);
    if (grown)
      log(`${domain}: its guest agent does not answer; the filesystem on its ${role} disk grows at the next boot`);
    return;
  }
  const command = ["/bin/sh", "-c", growScript, "grow", diskSerial(project, role), role] as const;
  const left = Math.max(1, Math.ceil((end - performance.now()) / 1000));
  const result = await agent.exec([...command], left);
  if (result.exitCode === 0) return;
  const lastLines = guestText(`${result.stdout}${result.stderr}`.trim().split("\n").slice(-3).join("\n"));
  throw new Error(`${domain}: the filesystem on its ${role} disk did not grow:\n${indented(lastLines)}`);
}
