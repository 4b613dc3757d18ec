import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import path from "node:path";

/** A process, as /proc shows it. */
export interface ProcessFound {
  pid: number;
  parent: number;
  /** Absolute path of what it runs. */
  executable: string;
}

/** What stays behind: the bridge when its engine was killed, the provider when its bridge is gone. */
const pluginNames = /^(pulumi-resource-|terraform-provider-)/;

/**
 * The provider processes that have lost whoever started them: the engine of a plugin, the plugin of a provider.
 * With them goes what they have started. Pure.
 *
 * @param folder only what runs from below it is ours
 */
export function orphansAmong(processes: ProcessFound[], folder: string): ProcessFound[] {
  const alive = new Map(processes.map(({ pid, executable }) => [pid, path.basename(executable)]));
  const isOurs = ({ executable }: ProcessFound) =>
    executable.startsWith(`${folder}/`) && pluginNames.test(path.basename(executable));
  // An engine may be a container's first process itself: `docker run <image> pulumi up`.
  const isTakenIn = (parent: number) => parent === 1 && alive.get(1) !== "pulumi";
  // In a desktop's session it is systemd's manager of that user that takes in what has lost its parent: PR_SET_CHILD_SUBREAPER(2const)
  const isLost = ({ parent }: ProcessFound) => isTakenIn(parent) || ["systemd", undefined].includes(alive.get(parent));
  const lost = processes.filter((one) => isOurs(one) && isLost(one));
  const isChild = ({ parent }: ProcessFound) => lost.some(({ pid }) => pid === parent);
  return [...lost, ...processes.filter((one) => isOurs(one) && isChild(one))];
}

/**
 * Ends the provider processes that earlier operations of the engine left behind, 25 MB each.
 *
 * @param folder where the toolchains are
 * @returns how many there were
 */
export function reapOrphans(folder: string): number {
  const orphans = orphansAmong(processesFound(), folder);
  return orphans.filter(({ pid }) => end(pid)).length;
}

/** By force: the provider ignores the interrupt by which the engine would end it. */
function end(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** All processes of this machine that have not ended. */
export function processesFound(): ProcessFound[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    const parent = parentOf(entry);
    return parent === undefined ? [] : [{ pid: Number(entry), parent, executable: executableOf(entry) }];
  });
}

/** A process may end while it is looked at; a zombie has ended. */
function parentOf(pid: string): number | undefined {
  try {
    // The name, in brackets, may hold anything.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return state === "Z" ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

/** Empty for a kernel thread, and for somebody else's process. */
function executableOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, "");
  } catch {
    return "";
  }
}
