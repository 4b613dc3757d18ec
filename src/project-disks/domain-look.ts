import { domainName } from "../core/names.ts";
import { isRunning } from "../guest/power.ts";
import { type DomainDevices, parseDevices } from "../libvirt/domain-devices.ts";
import { movedDiskIssue, movedDisks, refuseManualChanges, savedMemoryIssue } from "../libvirt/manual-changes.ts";
import type { Virsh } from "../libvirt/virsh.ts";

/** What a domain has now, and what it is defined with: while it runs, these may be two. */
export async function devicesOf(virsh: Virsh, domain: string): Promise<[now: DomainDevices, defined: DomainDevices]> {
  const now = parseDevices(await virsh.run("dumpxml", domain));
  return [now, parseDevices(await virsh.run("dumpxml", domain, "--inactive"))];
}

/**
 * Looks at the disks of a domain right before something is done to it or to them: defined on ours again, it would lose all that
 * was written to another file since, such as the overlay of an external snapshot.
 *
 * @param own our files, by the device that they are in the guest
 * @returns the devices of the domain as it is now
 * @throws UserError naming domain, disk, file and remedy; VirshError when libvirt does not tell
 */
export async function requireOwnDisks(
  virsh: Virsh,
  project: string,
  own: Record<string, string>,
  stack?: string,
): Promise<DomainDevices> {
  const domain = domainName(project);
  const [now, defined] = await devicesOf(virsh, domain);
  const moved = movedDisks(project, own, [now, defined]);
  if (moved.length === 0) return now;
  const place = { uri: virsh.uri, project, stack, isOff: !(await isRunning(virsh, domain)) };
  refuseManualChanges(
    project,
    moved.map((disk) => movedDiskIssue(disk, place)),
  );
  return now;
}

/**
 * Looks for saved memory right before a domain is defined again or loses a disk: that would give it up, with all that its guest
 * had not written yet.
 *
 * @throws UserError naming domain and remedy; VirshError when libvirt does not tell
 */
export async function requireNoSavedMemory(virsh: Virsh, project: string, stack?: string): Promise<void> {
  if (await hasSavedMemory(virsh, domainName(project)))
    refuseManualChanges(project, [savedMemoryIssue({ uri: virsh.uri, project, stack })]);
}

/** Whether a domain's memory was saved when it was stopped. */
export async function hasSavedMemory(virsh: Virsh, domain: string): Promise<boolean> {
  return (await virsh.run("list", "--all", "--name", "--with-managed-save")).split("\n").includes(domain);
}
