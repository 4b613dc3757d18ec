import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Census, takeCensus, unattendedUpgrades, type Watched } from "./census.ts";
import { openFiles } from "./files.ts";
import { leftBehind, watchedBy } from "./left-behind.ts";

/*
 * Whether a run of the tests left anything behind outside of the checkout, the caches and the embedded hosts' own folders:
 *   node bin/entry.js tests/ci/check.ts before    notes what there is
 *   node bin/entry.js tests/ci/check.ts after     names what is more, or other; exit status 1 if anything is
 */

/** Seconds for processes that were told to end to have ended. */
const patience = 10;

interface Note {
  census: Census;
  upgrades: number;
}

const checkout = path.resolve(import.meta.dirname, "../..");
const file = path.join(checkout, ".local", "before-tests.json");

/** Looks until all is clean, or patience is over. */
async function check(before: Note, places: Watched): Promise<string[]> {
  const watched = { ...places, otherHosts: Object.keys(before.census["host folder"] ?? {}) };
  const end = Date.now() + patience * 1000;
  for (;;) {
    // What the machine's own upgrades do in /etc meanwhile is not the run's.
    const upgraded = unattendedUpgrades() !== before.upgrades;
    const lines = leftBehind(before.census, takeCensus(watched), watched.folders).filter(
      (line) => !upgraded || !line.includes(": /etc/"),
    );
    const open = lines.length > 0 ? openFiles() : new Set<string>();
    // A log that another program is writing, such as the one that this run is recorded in, is that program's.
    const left = lines.filter((line) => !open.has(line.replace(/^file (left|changed): /, "")));
    if (left.length === 0 || Date.now() > end) return left;
    await sleep(500);
  }
}

const watched = watchedBy(checkout);
if (process.argv[2] === "before") {
  mkdirSync(path.dirname(file), { recursive: true });
  const note: Note = { census: takeCensus(watched), upgrades: unattendedUpgrades() };
  writeFileSync(file, JSON.stringify(note));
} else {
  const left = await check(JSON.parse(readFileSync(file, "utf8")), watched);
  for (const line of left) console.log(`left behind by the tests: ${line}`);
  if (left.length === 0)
    console.log("nothing was left behind: files, processes, namespaces, mounts, devices, units, hosts");
  process.exitCode = left.length === 0 ? 0 : 1;
}
