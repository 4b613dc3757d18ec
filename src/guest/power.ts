import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../core/errors.ts";
import { requireReallyOff } from "../libvirt/unknown-guests.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { connectSeconds } from "../libvirt/virsh-process.ts";
import { inTime } from "./in-time.ts";

/** How long a guest may take to shut down before its power is cut, in seconds. */
export const shutdownSeconds = 60;

/** How often it is asked to, in seconds. */
const askAgainSeconds = 10;

/**
 * Shuts a guest down in order and, when it has not gone after a while, by force, which is said. A guest that is off, or does
 * not exist, is left at that. One that others have paused resumes for it.
 *
 * @param limitSeconds how long it may take
 * @param nothingStays whether its disks are to be removed: then one that is paused loses its power like any other. What is to be
 *   found out is asked only when it has not gone
 * @throws UserError when it is paused and does not resume, as where its host has no room: it could not even try, and what it has
 *   not written would be lost with its power; or when its libvirt takes it for off, and it runs
 */
export async function shutDown(
  virsh: Virsh,
  domain: string,
  log: (line: string) => void,
  limitSeconds = shutdownSeconds,
  nothingStays: boolean | (() => Promise<boolean>) = false,
): Promise<void> {
  if (!(await isRunning(virsh, domain))) return requireReallyOff(virsh, domain);
  // Not by the wall clock, which others set, and which goes on while this machine sleeps.
  const started = performance.now();
  const passed = () => (performance.now() - started) / 1000;
  const requests: Promise<unknown>[] = [];
  for (let asked = -Infinity; passed() < limitSeconds; ) {
    // Asked again now and then: a guest that is still booting does not hear the first time. Libvirt asks the guest's agent, and
    // waits for one that does not answer, which is not waited for here while the guest runs.
    if (passed() - asked >= askAgainSeconds) {
      asked = passed();
      // Whatever becomes of that: one that cannot be woken, or suspends itself each time, loses its power below.
      await rouse(virsh, domain).catch(() => undefined);
      requests.push(virsh.run("shutdown", domain).catch(() => undefined));
    }
    await delay(1000);
    if (!(await isRunning(virsh, domain))) {
      await requireReallyOff(virsh, domain);
      log(`${domain}: shut down, ${Math.round(passed())} s`);
      await settled(requests);
      return;
    }
  }
  if (!(typeof nothingStays === "boolean" ? nothingStays : await nothingStays())) await requireNotPaused(virsh, domain);
  log(`${domain}: did not shut down within ${limitSeconds} s; its power is cut`);
  await virsh.run("destroy", domain);
  await settled(requests);
}

/** A request that is still on its way to libvirt would shut the next start down. One that has got there ends with the guest. */
const settled = (requests: Promise<unknown>[]) =>
  inTime(Promise.all(requests), connectSeconds, () => new Error("late")).catch(() => undefined);

/** Whether a guest is on: running, paused, or on its way between. */
export async function isRunning(virsh: Virsh, domain: string): Promise<boolean> {
  const running = await virsh.run("list", "--name", "--state-running", "--state-paused", "--state-other");
  return running.split("\n").includes(domain);
}

/** How a guest is, and why. @example "paused (I/O error)" */
const stateWithReason = async (virsh: Virsh, domain: string) =>
  (await virsh.run("domstate", domain, "--reason")).trim();

const isPaused = (state: string) => state.startsWith("paused");

/**
 * Whether a guest was paused because its host had no room for what it wrote. It has lost nothing: the write is tried again
 * when it resumes. Source: https://libvirt.org/formatdomain.html, error_policy, of which `enospace` is QEMU's default.
 */
export async function isPausedByFullHost(virsh: Virsh, domain: string): Promise<boolean> {
  return (await stateWithReason(virsh, domain)) === "paused (I/O error)";
}

/** Has a guest that hears nothing listen. */
async function rouse(virsh: Virsh, domain: string): Promise<void> {
  const state = await stateWithReason(virsh, domain);
  if (isPaused(state)) await virsh.run("resume", domain);
  if (state.startsWith(suspended)) await virsh.run("dompmwakeup", domain);
}

/**
 * Resumes a guest that is paused.
 *
 * @throws UserError when it is paused again at once, as where its host still has no room for what it writes
 */
export async function resume(virsh: Virsh, domain: string): Promise<void> {
  await virsh.run("resume", domain);
  await delay(1000); // for a write that is tried again to fail again
  await requireNotPaused(virsh, domain);
}

/** Why a guest is paused that has itself to blame: it is no reason to spare it. */
const ownFault = /^paused \((unknown|crashed|watchdog)\)$/;

/** @throws UserError when a guest was paused by others or by its host, with the reason */
async function requireNotPaused(virsh: Virsh, domain: string): Promise<void> {
  const state = await stateWithReason(virsh, domain);
  if (!isPaused(state) || ownFault.test(state)) return;
  const isFull = state === "paused (I/O error)";
  const mend = isFull ? "free space where its disks are" : `virsh -c '${virsh.uri}' resume ${domain}`;
  throw new UserError(`${domain} is ${state} and does not resume. Nothing is lost.`, [
    {
      path: domain,
      rule: "must run, to write what its guest has not yet written to its disks",
      remedy: `${mend}, then try again; to give up what is not written: virsh -c '${virsh.uri}' destroy ${domain}`,
    },
  ]);
}

/** What `virsh domstate` says of a guest that has suspended itself to memory, as by `systemctl suspend`: it hears nothing. */
const suspended = "pmsuspended";

/**
 * How a guest does not run because its user, or it itself, wants it so; undefined: it runs, or it crashed or could not start.
 */
export async function restingState(virsh: Virsh, domain: string): Promise<"shut off" | "suspended" | undefined> {
  const [, state, reason] =
    /^(.*?)(?: \((.*)\))?$/.exec((await virsh.run("domstate", domain, "--reason")).trim()) ?? [];
  if (state === suspended) return "suspended";
  return state === "shut off" && !["crashed", "failed"].includes(reason ?? "") ? "shut off" : undefined;
}

/** Wakes a guest that has suspended itself; any other is left as it is, also one that wakes by itself at this moment. */
export async function wakeIfSuspended(virsh: Virsh, domain: string): Promise<void> {
  if (!(await isSuspended(virsh, domain))) return;
  await virsh.run("dompmwakeup", domain).catch(async (error: unknown) => {
    if (await isSuspended(virsh, domain)) throw error;
  });
}

const isSuspended = async (virsh: Virsh, domain: string) => (await virsh.run("domstate", domain)).trim() === suspended;

/**
 * Starts a guest that is off; what it says itself when it cannot is in the error.
 *
 * @throws UserError when its libvirt takes it for off, and it runs: a start that fails would take what libvirt still has of it
 */
export async function startIfOff(virsh: Virsh, domain: string): Promise<void> {
  if (await isRunning(virsh, domain)) return;
  await requireReallyOff(virsh, domain);
  await virsh.run("start", domain);
}
