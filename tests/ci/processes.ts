import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { embeddedRoot } from "../../src/core/names.ts";
import type { Things } from "./things.ts";

/** What tells a process that a run has started from all others. */
export interface RunMarks {
  /** In the environment of all that it started: `NAME=value`. Programs that are started with a clean one have no such mark. */
  variable: string;
  /** Folders that only its processes work in, run from or are told of. */
  folders: string[];
  /** Folders of embedded hosts that were there before: programs that are told of them are another checkout's. */
  otherHosts?: string[];
}

/** What /proc shows of a process. */
export interface Seen {
  pid: number;
  parent: number;
  /** It begins with a number that no process of the same PID after it has: when it started, in ticks. */
  started: string;
  environment: string[];
  words: string[];
  folder: string;
  executable: string;
}

/** The processes of a run, but for whoever asks: it, what it was started by and what it has started. */
export function processesOfRun(marks: RunMarks, seen: Seen[] = seenProcesses(), asker = process.pid): Things {
  const family = familyOf(asker, seen);
  const found = seen.filter((one) => !family.has(one.pid) && isOfRun(one, marks));
  return Object.fromEntries(
    found.map(({ pid, started, words }) => [`${pid}: ${words.join(" ").slice(0, 160)}`, started]),
  );
}

/** By its environment, its folder, its program or its arguments; embedded hosts' processes are told apart by the latter. */
export function isOfRun(
  { environment, words, folder, executable }: Seen,
  { variable, folders, otherHosts = [] }: RunMarks,
): boolean {
  if (environment.includes(variable)) return true;
  const isBelow = (text: string, place: string) => text === place || text.startsWith(`${place}/`);
  if (folders.some((place) => isBelow(folder, place) || isBelow(executable, place))) return true;
  const namesOne = (places: string[]) => words.some((word) => places.some((place) => word.includes(place)));
  return namesOne(folders.map((place) => `${place}/`)) || (namesOne([`${embeddedRoot}/`]) && !namesOne(otherHosts));
}

function familyOf(asker: number, seen: Seen[]): Set<number> {
  const family = new Set([asker]);
  const parents = new Map(seen.map(({ pid, parent }) => [pid, parent]));
  for (let pid = parents.get(asker); pid; pid = parents.get(pid)) family.add(pid);
  const descendants = new Set([asker]);
  // A child can have a lower PID than its parent: until no more are found.
  for (let size = 0; size < descendants.size; ) {
    size = descendants.size;
    for (const { pid, parent } of seen) if (descendants.has(parent)) descendants.add(pid);
  }
  return new Set([...family, ...descendants]);
}

/** All processes of this machine that have not ended. */
export function seenProcesses(): Seen[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const seen = look(Number(name));
      return seen ? [seen] : [];
    });
}

/** Nothing of one that has ended, also if nobody has asked for its end yet. */
function look(pid: number): Seen | undefined {
  // The name, in brackets, may hold anything: proc(5) has state, parent and, as the 22nd field, the time of the start.
  const fields = read(pid, "stat")
    .replace(/^.*\) /s, "")
    .split(" ");
  if (fields.length < 20 || fields[0] === "Z") return undefined;
  return {
    pid,
    parent: Number(fields[1]),
    started: fields[19] ?? "",
    environment: read(pid, "environ").split("\0"),
    words: read(pid, "cmdline").split("\0").filter(Boolean),
    folder: link(pid, "cwd"),
    executable: link(pid, "exe"),
  };
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return ""; // it ended in between, or is another user's
  }
}

function link(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}
