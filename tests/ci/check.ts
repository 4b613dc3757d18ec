import { mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Census, heldAtStart, takeCensus, unattendedUpgrades, type Watched } from "./census.ts";
import { openFiles } from "./files.ts";
import { hostFolders, isInUse } from "./hosts.ts";
import { describe, differences, homes, watchedBy } from "./left-behind.ts";
import { type Note, readNote, writeNote } from "./note.ts";
import { isOwnMachine, mayBeOthers, type OthersPlaces, packagesPlaces, sharedPlaces } from "./of-others.ts";
import { processesOfRun, seenProcesses } from "./processes.ts";
import type { Difference } from "./things.ts";

/*
 * Whether a run of the tests left anything behind outside of the checkout, the caches and the embedded hosts' own folders:
 *   node bin/entry.js tests/ci/check.ts before [<what .ci/run noted at its start>]    notes what there is
 *   node bin/entry.js tests/ci/check.ts after     names what is more, or other; exit status 1 if anything is
 */

/** Seconds for processes that were told to end to have ended. */
const patience = 10;

const installation = "package installation";

/** Of what may be others' so many lines are shown. */
const shownLines = 30;

const checkout = path.resolve(import.meta.dirname, "../..");
const file = path.join(checkout, ".local", "before-tests.json");

/** Looks until all is clean, or patience is over. */
async function check(before: Note, places: Watched): Promise<Difference[]> {
  const end = performance.now() + patience * 1000;
  for (;;) {
    const owners = [...hostFolders(places)];
    const known = before.census["host folder"] ?? {};
    const isOther = ([dir, owner]: (typeof owners)[number]) =>
      owner === "other" || (owner === "by time" && dir in known);
    const otherHosts = owners.filter(isOther).map(([dir]) => dir);
    const census = takeCensus({ ...places, roots: before.roots, otherHosts });
    const upgraded = unattendedUpgrades() !== before.upgrades;
    const found = differences(before.census, census, places.folders).filter(
      ({ kind, name }) => !upgraded || kind !== "file" || !packagesPlaces.test(name),
    );
    // What a killed run of this checkout left counts as this run's once it is used.
    const inUse = owners
      .filter(
        ([dir, owner]) => owner === "run" && dir in known && !found.some(({ name }) => name === dir) && isInUse(dir),
      )
      .map(([name]): Difference => ({ kind: "host folder", word: "in use", name }));
    const open = found.length > 0 ? openFiles() : new Set<string>();
    // A log that another program is writing, such as the one that this run is recorded in, is that program's.
    const left = [...found.filter(({ kind, name }) => kind !== "file" || !open.has(name)), ...inUse];
    if (left.length === 0 || performance.now() > end) return left;
    await sleep(500);
  }
}

/** Prints what was left behind. @returns whether a run fails by it */
function report(left: Difference[], before: Note, watched: Watched): boolean {
  const owners = hostFolders(watched);
  const hosts = [...owners].filter(([, owner]) => owner === "other").map(([dir]) => dir);
  const [temporary, own] = [tmpdir(), homes()];
  const places: OthersPlaces = { temporary, homes: own, shared: sharedPlaces(checkout, [temporary, ...own]), hosts };
  places.hasInstalled = left.some((one) => one.kind === installation && mayBeOthers(one, places, before.census));
  const [others, sure] = [true, false].map((isOthers) =>
    left.filter((one) => mayBeOthers(one, places, before.census) === isOthers),
  ) as [Difference[], Difference[]];
  for (const one of sure) console.log(`left behind by the tests: ${describe(one)}`);
  const isOwn = isOwnMachine(process.env);
  const by = isOwn ? "the tests" : "the tests, or by other work on this machine";
  for (const one of others.slice(0, shownLines)) console.log(`left behind by ${by}: ${describe(one)}`);
  if (others.length > shownLines) console.log(`... and ${others.length - shownLines} more of that kind`);
  if (others.length > 0 && !isOwn)
    console.log(
      "what may be by other work is no failure here; it is with RUNNER_ENVIRONMENT=github-hosted, for a machine on which there is none",
    );
  const isLeft = (dir: string) => left.some(({ name }) => name === dir);
  for (const [dir, owner] of owners)
    if (owner === "run" && !isLeft(dir))
      console.log(`there before, left by an earlier run of this checkout, and not used since: ${dir}`);
  return sure.length > 0 || (isOwn && others.length > 0);
}

const started = performance.now();
const watched = watchedBy(checkout);
if (process.argv[2] === "before") {
  mkdirSync(path.dirname(file), { recursive: true });
  const note: Note = { census: censusBefore(process.argv[3]), upgrades: unattendedUpgrades(), roots: watched.roots };
  writeNote(file, note);
  const count = Object.keys(note.census.file ?? {}).length;
  console.log(`noted what there is: ${count} files, in ${seconds()} s, below ${watched.roots.join(", ")}`);
} else {
  const before = await readNote(file);
  const left = await check(before, watched);
  const fails = report(left, before, watched);
  if (!fails)
    console.log(
      `nothing${left.length > 0 ? " else" : ""} was left behind: files, processes, namespaces, mounts, devices, units, hosts, rules of the firewall (${seconds()} s)`,
    );
  process.exitCode = fails ? 1 : 0;
}

/** What make's preparation has left is the run's: what the kernel holds is that of before it, and no process of the run is noted. */
function censusBefore(atStart?: string): Census {
  const others = seenProcesses().filter(({ environment }) => !environment.includes(watched.variable));
  const held = atStart === undefined ? {} : heldAtStart(readFileSync(atStart, "utf8"));
  return { ...takeCensus(watched), ...held, process: processesOfRun(watched, others) };
}

function seconds(): string {
  return ((performance.now() - started) / 1000).toFixed(1);
}
