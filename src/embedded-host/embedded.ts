import { existsSync } from "node:fs";
import { readFile, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { factOf, UserError } from "../core/errors.ts";
import { withLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { embeddedRoot } from "../core/names.ts";
import { printable } from "../core/printable.ts";
import { requirePrograms, requireRoot } from "../core/programs.ts";
import { type EmbeddedHost, embeddedHostFor, leadsTo } from "../libvirt/embedded-layout.ts";
import { findProcesses, mayHaveGuest } from "../libvirt/embedded-look.ts";
import { kvmWorks } from "../libvirt/kvm.ts";
import { unknownGuestIssue, unknownGuests } from "../libvirt/unknown-guests.ts";
import { virshFor, virshSession } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { guardFolders, noteCheckout, prepareFiles, startFailure } from "./embedded-files.ts";
import { recallRunning, rememberRunning, shutDownGuests, startAgain, whatRuns } from "./embedded-guests.ts";
import { clearLeftovers, killHost, launch, mountsBelow, waitFor } from "./embedded-process.ts";
import { bringUplink, isUplinkToChange } from "./embedded-uplink.ts";
import { requireOwnQemuId, takeUserId } from "./embedded-users.ts";
import { whyAway } from "./local-mounts.ts";
import { downCommand, markFile } from "./lost-hosts.ts";

/** `not answering`: its processes are there, its libvirtd is not (it is being restarted, or is stuck). */
export type EmbeddedState = "stopped" | "running" | "not answering";

export interface EmbeddedStatus {
  state: EmbeddedState;
  /** Names of the guests that run. */
  guests: string[];
}

/** Limits in seconds. Guests that ignore the power button are forced off after the last one. */
const limits = { lock: 180, libvirtd: 60, restart: 30, guests: 60 };

/**
 * Starts the host, and again the guests that ran when it was stopped, crashed or the machine went down. Does nothing
 * when it runs. Safe to call from several processes at once. It lives in its own mount, network and PID namespaces
 * and outlives the caller.
 *
 * @throws {UserError} when not root, when a program is missing, when libvirtd does not come up
 */
export async function startEmbeddedHost(host: EmbeddedHost, log: Log): Promise<void> {
  requireRoot("The embedded host");
  requireMounted(host, "The embedded host is not started.");
  await requirePrograms();
  await withLock(host.dir, limits.lock, log, async () => {
    if (findProcesses(host).length > 0) {
      await waitFor("libvirtd to answer", limits.libvirtd, () => answers(host));
      await guardFolders(host);
      await noteCheckout(host);
      log("embedded host: runs already");
      await bringUplink(host, log);
      return;
    }
    await start(host, log);
  });
}

/**
 * The same for whoever needs what a URI leads to, and not to know that there is such a host: it is started if it is the one of
 * that checkout and does not run. Says nothing where it does.
 */
export async function ensureHostRuns(root: string, uri: string, log: Log): Promise<void> {
  const host = embeddedHostFor(root);
  if (!leadsTo(host, uri)) return;
  if ((await embeddedHostStatus(host)).state !== "running") return startEmbeddedHost(host, log);
  if (isUplinkToChange(host)) await withLock(host.dir, limits.lock, log, () => bringUplink(host, log));
}

async function start(host: EmbeddedHost, log: Log): Promise<void> {
  requireOwnQemuId();
  const started = performance.now();
  await rememberRunning(host);
  if (await clearLeftovers(host)) log("embedded host: cleared what a crash had left");
  const kvm = await kvmWorks();
  log(`embedded host: ${kvm.works ? "KVM works" : `KVM does not work here (${kvm.why}): VMs are emulated, slower`}`);
  await prepareFiles(host);
  await takeUserId(host, "dnsmasq");
  launch(host, kvm.works);
  try {
    const isUp = async () => {
      if (findProcesses(host).length === 0) throw new Error("it ended at once");
      return answers(host);
    };
    await waitFor("libvirtd to answer", limits.libvirtd, isUp);
  } catch (error) {
    await killHost(host);
    await clearLeftovers(host);
    throw await startFailure(host, error);
  }
  log(`embedded host: libvirtd answers after ${((performance.now() - started) / 1000).toFixed(1)} s (${host.dir})`);
  await bringUplink(host, log);
  await startAgain(host, await recallRunning(host), log);
}

/**
 * Shuts the guests down, then ends the host: no process, namespace, mount, bridge or socket is left. Disks and
 * libvirt's definitions stay, and which guests ran is remembered for the next start. Does nothing when it does not
 * run.
 *
 * @param guestSeconds how long guests may take to shut down; then they are forced off, and it is said which
 * @param cutsPower whether guests lose their power also where else the host goes on, as when it is to be removed, disks and all
 * @throws UserError when one is paused and does not resume, or may run and libvirt does not say whether it is off: the host
 *   goes on
 */
export async function stopEmbeddedHost(
  host: EmbeddedHost,
  log: Log,
  guestSeconds = limits.guests,
  cutsPower = false,
): Promise<void> {
  if (!existsSync(host.dir)) {
    requireMounted(host, "Whether there is an embedded host is not known.");
    log("embedded host: there is none");
    return;
  }
  requireRoot("The embedded host");
  await withLock(host.dir, limits.lock, log, async () => {
    if (findProcesses(host).length === 0) {
      // Guests that a crash cut off are started at the next start too.
      await rememberRunning(host);
      const left = await clearLeftovers(host);
      log(left ? "embedded host: did not run; cleared what a crash had left" : "embedded host: does not run");
      return;
    }
    await rememberRunning(host);
    await endGuests(host, log, guestSeconds, cutsPower);
    await killHost(host);
    await clearLeftovers(host);
    log("embedded host: stopped; disks and definitions are kept");
  });
}

/** Only libvirt says whether a guest is off: where it does not, one that may run keeps its power, unless that may be cut. */
async function endGuests(host: EmbeddedHost, log: Log, guestSeconds: number, cutsPower: boolean): Promise<void> {
  // A libvirtd that died is being restarted at this moment.
  const unknown = await waitFor("libvirtd to answer", limits.restart, () => answers(host)).then(
    () => whyUnknown(endKnown(host, log, guestSeconds, cutsPower), cutsPower),
    () => `no answer within ${limits.restart} s`,
  );
  if (unknown === undefined) return;
  if (!mayHaveGuest(host)) return log(`embedded host: no guest runs, and its libvirt does not answer: ${unknown}`);
  if (cutsPower) return log(`embedded host: its guests are cut off: ${unknown}`);
  throw new UserError(notStopped, [
    {
      path: host.dir,
      rule: `must tell whether its guests are off, but its libvirt does not: ${unknown}`,
      remedy: `try again; ${cutPower(host)}`,
    },
  ]);
}

const notStopped = "The embedded host was not stopped, and no guest's power was cut.";

const cutPower = ({ checkout }: EmbeddedHost) =>
  `to cut the power of all that still run, with the loss of what they have not written: ${downCommand(checkout)} FORCE=yes`;

/** @throws UserError about guests that libvirt does not know: before the others are shut down, and when it lost one while they were */
async function endKnown(host: EmbeddedHost, log: Log, guestSeconds: number, cutsPower: boolean): Promise<void> {
  const requireNone = async () => {
    const issues = (await unknownGuests(virshFor(host.uri))).map(unknownGuestIssue);
    if (issues.length === 0) return;
    const named = issues.map((issue) => ({ ...issue, remedy: `${issue.remedy}; ${cutPower(host)}` }));
    throw new UserError(notStopped, named);
  };
  if (!cutsPower) await requireNone();
  await shutDownGuests(host, guestSeconds, log, cutsPower);
  await requireNone();
}

/** @throws UserError about a guest that stays paused, or runs unknown to libvirt: of that its user has to know first */
async function whyUnknown(guestsEnd: Promise<void>, cutsPower: boolean): Promise<string | undefined> {
  try {
    await guestsEnd;
    return undefined;
  } catch (error) {
    if (error instanceof UserError && !(error instanceof VirshError)) {
      if (!cutsPower || error.issues.length === 0) throw error;
      return error.issues.map(factOf).join("; ");
    }
    return printable((error as Error).message);
  }
}

/** How the host is, at this moment. */
export async function embeddedHostStatus(host: EmbeddedHost): Promise<EmbeddedStatus> {
  if (findProcesses(host).length === 0) return { state: "stopped", guests: [] };
  const state = (await answers(host)) ? "running" : "not answering";
  return { state, guests: (await whatRuns(host)).domains };
}

/**
 * Removes the host's folder with all disks in it, for good. The caller has asked.
 *
 * @throws {UserError} while it runs, when something is mounted in the folder, or when that is not an embedded host's
 */
export async function wipeEmbeddedHost(host: EmbeddedHost): Promise<void> {
  requireRemovable(host);
  if (!existsSync(host.dir)) return;
  const refuse = (rule: string, remedy: string) =>
    new UserError("The embedded host is not removed.", [{ path: host.dir, rule, remedy }]);
  const mark = await readFile(path.join(host.dir, markFile), "utf8").catch(() => "");
  if (path.dirname(host.dir) !== embeddedRoot || mark.trim() !== host.dir) {
    throw refuse("must be an embedded host's folder", "Look at what is in it, and remove it by hand.");
  }
  await withLock(
    host.dir,
    limits.lock,
    () => {},
    async () => {
      if (findProcesses(host).length > 0) throw refuse("must not be running", "Stop it first: make down");
      await clearLeftovers(host);
      const mounts = mountsBelow(host.dir);
      if (mounts.length > 0)
        throw refuse(`must have nothing mounted in it, but has ${mounts.join(", ")}`, "Unmount it first.");
      await rm(host.dir, { recursive: true, force: true });
    },
  );
  // The last one takes the common folder with it; others keep it.
  await rmdir(embeddedRoot).catch(() => {});
}

/** @throws UserError where what is to be removed would stay, being on a disk that is not mounted now */
export const requireRemovable = (host: EmbeddedHost) => requireMounted(host, "The embedded host is not removed.");

/** @throws UserError where the host's folder, or its disks', is on a disk that is not mounted: what is there now is not the host */
function requireMounted({ dir, storageDir }: EmbeddedHost, title: string): void {
  const away = whyAway(dir, storageDir);
  if (away) throw new UserError(title, [away]);
}

async function answers(host: EmbeddedHost): Promise<boolean> {
  if (!existsSync(path.join(host.dir, "run/libvirt/libvirt-sock"))) return false;
  return virshSession(host.uri, [["uri"]], 10).then(
    ([answer]) => answer?.ok ?? false,
    () => false,
  );
}
