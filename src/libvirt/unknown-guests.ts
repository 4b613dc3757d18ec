import { type Issue, UserError } from "../core/errors.ts";
import { embeddedHostAt } from "./embedded-layout.ts";
import { type GuestProcess, guestProcesses } from "./embedded-look.ts";
import type { Virsh } from "./virsh.ts";

/**
 * The guests of an embedded host that run and that its libvirt does not know: one that starts again leaves a QEMU alone whose status it
 * cannot read back, and takes its domain for off, disks and all. Of a host of the user's own that is not known here.
 *
 * @throws VirshError when libvirt does not tell what it knows
 */
export async function unknownGuests(virsh: Pick<Virsh, "uri" | "run">): Promise<GuestProcess[]> {
  const host = embeddedHostAt(virsh.uri);
  const guests = host ? guestProcesses(host) : [];
  if (!host || guests.length === 0) return [];
  const known = (await virsh.run("list", "--name")).split("\n");
  // One that has ended since was known, or is no matter any more.
  const still = guestProcesses(host).map(({ pid }) => pid);
  return guests.filter(({ domain, pid }) => !known.includes(domain) && still.includes(pid));
}

/** A guest that libvirt does not know as a fact and what to do about it. QEMU waits for libvirt when its guest has shut down. */
export const unknownGuestIssue = ({ domain, pid }: GuestProcess): Issue => ({
  path: domain,
  rule: `must be known to its libvirt while it runs, but a QEMU of ${domain} runs that libvirt does not know (process ${pid})`,
  remedy: `log in to it by the \`ssh\` command that \`project-vm status\` prints, and shut it down (sudo poweroff), without which what it has not written is lost; then end its process: kill ${pid}`,
});

/**
 * Looks at a guest that libvirt takes for off, right before something is done that it has to be off for.
 *
 * @throws UserError when a QEMU of it runs all the same; VirshError when libvirt does not tell what it knows
 */
export async function requireReallyOff(virsh: Pick<Virsh, "uri" | "run">, domain: string): Promise<void> {
  const issues = (await unknownGuests(virsh)).filter((guest) => guest.domain === domain).map(unknownGuestIssue);
  if (issues.length > 0) throw new UserError(`${domain} runs, though its libvirt takes it for off.`, issues);
}
