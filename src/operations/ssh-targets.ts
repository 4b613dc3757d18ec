import type { Outline } from "../checkout/outline.ts";
import { lastTargets, sshFilePaths, writeSshFiles } from "../checkout/ssh-files.ts";
import { readStackState } from "../checkout/stack-state.ts";
import { UserError } from "../core/errors.ts";
import { ownValue } from "../core/own-value.ts";
import { printable } from "../core/printable.ts";
import { NoHostKeysYet } from "../guest/guest-refusal.ts";
import type { SshTarget } from "../guest/ssh-target.ts";
import { findRunningVm, type OwnVm } from "./find-vm.ts";

/** Seconds to wait for another process that writes the same files. */
const lockSeconds = 10;

/** The stack's files for SSH clients. */
const pathsOf = ({ root, stack }: Pick<Outline, "root" | "stack">) => sshFilePaths(`${root}/.local`, stack);

/** What the stack's files for SSH clients were last made from. */
export function sshTargets(outline: Pick<Outline, "root" | "stack">): SshTarget[] {
  return lastTargets(pathsOf(outline).targets);
}

/** Where the stack's configuration for SSH clients is. */
export const sshConfigOf = (outline: Pick<Outline, "root" | "stack">) => pathsOf(outline).config;

/** Whether SSH would find a VM where it is now: it has had no other address since. Pure. */
export function isCurrent(target: SshTarget | undefined, addresses: string[]): boolean {
  const [address] = target?.addresses ?? [];
  if (!target || !address || target.hostKeys.length === 0) return false;
  // A network that is not libvirt's own tells no addresses.
  return addresses.length === 0 || addresses.includes(address);
}

/**
 * The stack's configuration for SSH clients, with a running VM in it as it is now.
 *
 * @throws UserError when its address is not known, and its guest does not tell it yet
 */
export async function currentSshConfig(own: OwnVm, log: (line: string) => void): Promise<string> {
  const { outline, vm } = own;
  const target = sshTargets(outline).find(({ name }) => name === vm.name);
  if (!isCurrent(target, vm.addresses)) {
    const guest = await guestOf(own);
    if (!(await guest.answers())) throw notUpYet(own);
    const addresses = await guest.addresses();
    const hostKeys = await guest.hostKeys().catch((error: unknown) => {
      throw error instanceof NoHostKeysYet ? notUpYet(own, "SSH server has host keys") : error;
    });
    if (addresses.length === 0) throw noAddress(own);
    await writeSshTarget(outline, { name: vm.name, addresses, hostKeys }, log);
  }
  return sshConfigOf(outline);
}

/**
 * Puts a VM that was just started into the stack's files for SSH clients, as far as it is known: its guest is not up yet to be
 * asked, and comes back to its lease, with the host keys on its disk. Should it not, the next `project-vm ssh` finds that out.
 */
export async function writeExpectedTarget({ outline, vm }: OwnVm, log: (line: string) => void): Promise<void> {
  const last = sshTargets(outline).find(({ name }) => name === vm.name);
  if (isCurrent(last, vm.addresses)) return;
  const { addresses = [], hostKeys = [] } = last ?? (await outputOf(outline, vm.name)) ?? {};
  const expected = vm.addresses.length > 0 ? vm.addresses : addresses;
  if (expected.length === 0 || hostKeys.length === 0) return;
  await writeSshTarget(outline, { name: vm.name, addresses: expected, hostKeys }, log);
}

/** What the stack's last update said of a VM. */
const outputOf = async ({ root, stack }: Outline, name: string) =>
  ownValue((await readStackState(root, stack))?.outputs, name);

/** Puts a VM into the stack's files for SSH clients as it was just found. */
export async function writeSshTarget(
  outline: Outline,
  target: Pick<SshTarget, "name" | "addresses" | "hostKeys">,
  log: (line: string) => void,
): Promise<void> {
  const { loadStack } = await import("../checkout/stack.ts");
  const { withLock } = await import("../core/lock.ts");
  const { ssh } = loadStack(outline.stack, outline.root).host;
  const paths = pathsOf(outline);
  await withLock(paths.targets, lockSeconds, log, async () => {
    const before = sshTargets(outline);
    const others = before.filter(({ name }) => name !== target.name);
    const known = before.find(({ name }) => name === target.name) ?? (await outputOf(outline, target.name));
    writeSshFiles(paths, [...others, { tailnetName: known?.tailnetName, ...target }], ssh);
  });
}

/** What SSH's programs end with where they got no connection. */
const noConnection = 255;

/**
 * Says so where there was no connection because a VM is still booting, or is off; ssh's own words do not.
 *
 * @param exitCode of ssh or scp
 */
export async function explainConnection(
  exitCode: number,
  stack: string,
  names: string[],
  folder: string,
): Promise<void> {
  if (exitCode !== noConnection) return;
  for (const name of names) {
    try {
      const own = await findRunningVm(stack, name, folder);
      if (!(await (await guestOf(own)).answers())) throw notUpYet(own);
    } catch (error) {
      // It may be off by now, by the very command that was run. The exit code stays that of ssh.
      if (!(error instanceof UserError)) throw error;
      console.error(printable(error.message));
    }
  }
}

/** Loaded only now: where an address is known and right, nobody asks the guest. */
async function guestOf({ outline, vm }: OwnVm) {
  const { Guest } = await import("../guest/guest.ts");
  const { virshFor } = await import("../libvirt/virsh.ts");
  return new Guest(virshFor(outline.host.uri), vm.name);
}

function noAddress({ outline, vm }: OwnVm): UserError {
  return new UserError(`${vm.name} cannot be reached.`, [
    {
      path: vm.name,
      rule: "must tell an address that its network can have given it, but tells none",
      remedy: `look at its network interface: project-vm exec ${vm.name} --stack ${outline.stack} -- ip address`,
    },
  ]);
}

function notUpYet({ outline, vm }: OwnVm, lacking = "guest agent answers"): UserError {
  return new UserError(`${vm.name} cannot be reached yet.`, [
    {
      path: vm.name,
      rule: `must have come up so far that its ${lacking}`,
      remedy: `wait for it: project-vm start ${vm.name} --wait --stack ${outline.stack}`,
    },
  ]);
}
