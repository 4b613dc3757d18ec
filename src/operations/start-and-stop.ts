import { readOutline } from "../checkout/outline.ts";
import { UserError } from "../core/errors.ts";
import { domainName } from "../core/names.ts";
import type { ProgressLog as Log } from "../core/records.ts";
import { isRunning, resume, shutDown, startIfOff, wakeIfSuspended } from "../guest/power.ts";
import { requireReallyOff } from "../libvirt/unknown-guests.ts";
import { type Virsh, virshFor } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { findVm, type OwnVm, refuseMoved } from "./find-vm.ts";

export interface StopOptions {
  /** How long the guest may take to shut down before its power is cut, in seconds. */
  timeout?: number | undefined;
  /** Cuts the power at once. */
  force?: boolean | undefined;
}

/**
 * Finds a VM that is about to be started. Its host is started first, if it is this checkout's embedded one and down: that starts
 * whatever ran on it too.
 *
 * @throws UserError when it is not there
 */
export async function findVmToStart(stack: string, name: string, folder: string, log: Log): Promise<OwnVm> {
  const outline = await readOutline(stack, folder);
  await refuseMoved(name, outline);
  const { ensureHostRuns } = await import("../embedded-host/embedded.ts");
  await ensureHostRuns(outline.root, outline.host.uri, log);
  return findVm(stack, name, folder);
}

/**
 * Starts a VM that is off, resumes one that is paused, and wakes one whose guest has suspended itself.
 *
 * @throws UserError when one that was paused is paused again at once: its host has no room for what it writes
 * @param wait whether to wait until it is ready
 * @throws NotReadyError when it does not become ready
 */
export async function startVm({ outline, vm }: OwnVm, wait: boolean, log: Log): Promise<void> {
  const virsh = virshFor(outline.host.uri);
  const domain = domainName(vm.name);
  await explained({ outline, vm }, async () => {
    await refuseUnfinishedRestore(virsh, vm.name);
    if (vm.state === "paused") await resume(virsh, domain);
    else if (vm.state === "suspended") await wakeIfSuspended(virsh, domain);
    else await startIfOff(virsh, domain);
  });
  await noLongerStarting(virsh, domain);
  log(vm.state === "running" ? `${domain}: runs already` : `${domain}: started`);
  await afterStart({ outline, vm }, wait, log);
}

/** Whoever goes there by SSH shall find it where it is. */
async function afterStart(own: OwnVm, wait: boolean, log: Log): Promise<void> {
  if (wait) return waitFor(own, log);
  const { writeExpectedTarget } = await import("./ssh-targets.ts");
  await writeExpectedTarget(own, log);
}

async function waitFor({ outline, vm }: OwnVm, log: Log): Promise<void> {
  const { Guest } = await import("../guest/guest.ts");
  const { limits, waitUntilReady } = await import("../guest/ready.ts");
  const { parseDomain } = await import("../libvirt/libvirt-xml.ts");
  const { writeSshTarget } = await import("./ssh-targets.ts");
  const virsh = virshFor(outline.host.uri);
  const { type } = parseDomain(await virsh.run("dumpxml", domainName(vm.name)));
  const guest = new Guest(virsh, vm.name);
  const { addresses, hostKeys, seconds } = await waitUntilReady(
    guest,
    limits[type === "kvm" ? "kvm" : "emulated"],
    log,
  );
  await writeSshTarget(outline, { name: vm.name, addresses, hostKeys }, log);
  log(`${guest.name}: ready, ${seconds} s`);
}

/** Shuts a VM down, which then stays off through every update. One that is off is left at that. */
export async function stopVm({ outline, vm }: OwnVm, options: StopOptions, log: Log): Promise<void> {
  const virsh = virshFor(outline.host.uri);
  const domain = domainName(vm.name);
  await noLongerStarting(virsh, domain);
  await shutOff(virsh, domain, options, log);
}

/** What was cut off before noted that it is to run: from now on its user's word counts. */
async function noLongerStarting(virsh: Virsh, domain: string): Promise<void> {
  const { marksOf, markStarting } = await import("../libvirt/marks.ts");
  if ((await marksOf(virsh, domain)).starting) await markStarting(virsh, domain, false);
}

async function refuseUnfinishedRestore(virsh: Virsh, project: string): Promise<void> {
  const { requireNoRestore } = await import("../libvirt/restore-mark.ts");
  await requireNoRestore(virsh, project);
}

/**
 * Shuts a VM down and starts it again; should that be cut off in between, the next update starts it.
 *
 * @throws UserError when it has other disks than ours: it may come back on others than it ran on
 */
export async function restartVm(own: OwnVm, { wait, ...options }: StopOptions & { wait: boolean }, log: Log) {
  const { markStarting } = await import("../libvirt/marks.ts");
  const { requireOwnDisks } = await import("../project-disks/domain-look.ts");
  const { ownDisks } = await import("../libvirt/manual-changes.ts");
  const virsh = virshFor(own.outline.host.uri);
  const domain = domainName(own.vm.name);
  await explained(own, () => refuseUnfinishedRestore(virsh, own.vm.name));
  const { storageDir } = own.outline.host;
  await requireOwnDisks(virsh, own.vm.name, ownDisks(storageDir, own.vm.name), own.outline.stack);
  await markStarting(virsh, domain, true);
  await shutOff(virsh, domain, options, log);
  await explained(own, () => startIfOff(virsh, domain));
  await markStarting(virsh, domain, false);
  log(`${domain}: started`);
  await afterStart(own, wait, log);
}

/** What keeps a VM from starting is on its host, and the doctor knows it. */
async function explained({ outline, vm }: OwnVm, start: () => Promise<unknown>): Promise<void> {
  await start().catch((error: unknown) => {
    if (!(error instanceof VirshError)) throw error;
    const remedy = `see what is wrong with its host, and have mended what can be: project-vm doctor --fix --stack ${outline.stack}`;
    throw new UserError(`${vm.name} was not started.`, [
      { path: domainName(vm.name), rule: `must be able to start on ${outline.host.uri} (${error.reason})`, remedy },
    ]);
  });
}

async function shutOff(virsh: Virsh, domain: string, { timeout, force }: StopOptions, log: Log): Promise<void> {
  if (!(await isRunning(virsh, domain))) {
    await requireReallyOff(virsh, domain);
    log(`${domain}: is off already`);
  } else if (force) {
    await virsh.run("destroy", domain);
    log(`${domain}: its power is cut`);
  } else await shutDown(virsh, domain, log, timeout);
}
