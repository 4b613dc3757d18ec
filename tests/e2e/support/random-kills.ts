import { type FSWatcher, watch } from "node:fs";
import path from "node:path";
import { pulumiKilledBy, type Victim } from "./killed-pulumi.ts";
import type { Random } from "./sweep-random.ts";

/** What is killed, as it is typed. */
export const commands = {
  up: ["up", "--yes"],
  preview: ["preview"],
  destroy: ["destroy", "--yes"],
  cancel: ["cancel", "--yes"],
} as const;
export type Verb = keyof typeof commands;
export const verbs = Object.keys(commands) as Verb[];

/** A kill at some moment of a command. */
export interface Kill {
  verb: Verb;
  victim: Victim;
  /** When: after a share of the time that the command takes, or of the changes that it makes to files of the state. */
  by: "time" | "writes";
  /** From 0 to below 1. */
  share: number;
}

/** How much of each there is in a command that is left alone. */
export interface Extent {
  /** Milliseconds. */
  time: number;
  /** Changes of files in the folders of the stack's state and of its locks. */
  writes: number;
}

/** A kill of a command, half of them at a change of the state: there it hurts, and time alone seldom hits it. */
export function randomKill(random: Random, verb: Verb): Kill {
  // A preview writes nothing, and a cancel has ended when its only change is seen.
  const by = ["up", "destroy"].includes(verb) && random.onceIn(2) ? "writes" : "time";
  return { verb, victim: random.onceIn(3) ? "group" : "engine", by, share: random.next() };
}

export function describeKill(kill: Kill, extent: Extent): string {
  const moment = momentOf(kill, extent);
  const when = kill.by === "time" ? `after ${(moment / 1000).toFixed(2)} s` : `at change ${moment}`;
  return `${kill.verb}, ${kill.victim} killed ${when}`;
}

const momentOf = ({ by, share }: Pick<Kill, "by" | "share">, extent: Extent) =>
  by === "time" ? share * extent.time : 1 + Math.floor(share * extent.writes);

/**
 * Runs a command in a checkout and kills it.
 *
 * @returns whether it was killed: if not, it had ended before
 * @throws Error with the output when it failed by itself
 */
export function runAndKill(dir: string, kill: Kill, extent: Extent): Promise<boolean> {
  const moment = momentOf(kill, extent);
  const arm = (now: () => void) => {
    if (kill.by === "writes") return onWrites(dir, (count) => count === moment && now());
    const timer = setTimeout(now, moment);
    return () => clearTimeout(timer);
  };
  return pulumiKilledBy(dir, arm, kill.victim, ...commands[kill.verb]);
}

/** Runs a command to its end and measures it. */
export async function measure(dir: string, verb: Verb): Promise<Extent> {
  const extent = { time: 0, writes: 0 };
  const started = Date.now();
  const arm = () =>
    onWrites(dir, (count) => {
      extent.writes = count;
    });
  await pulumiKilledBy(dir, arm, "engine", ...commands[verb]);
  return { ...extent, time: Date.now() - started };
}

/** Counts the changes of files of the state; both folders must be there, as they are after a first update. */
function onWrites(dir: string, onWrite: (count: number) => void): () => void {
  let count = 0;
  const folders = ["stacks/project-vms", "locks/organization/project-vms/local"];
  const watchers: FSWatcher[] = folders.map((folder) =>
    watch(path.join(dir, ".local/state/.pulumi", folder), () => onWrite(++count)),
  );
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
