import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { cacheFolder } from "../../toolchain/ensure/places.ts";

/** Seconds of each test file by its path in the checkout. */
export type Seconds = Record<string, number>;

/** What they took once, for a machine that has run none yet: there the slowest came last, and one core was idle for minutes. */
export const usual: Seconds = JSON.parse(readFileSync(path.join(import.meta.dirname, "usual-seconds.json"), "utf8"));

/** Outside of the checkout, so that a fresh clone has what the last run took. */
const cacheFile = () => path.join(path.dirname(cacheFolder()), "test-seconds.json");

/** Two workers end at about the same time only if the longest file does not come last. */
export default class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const seconds = { ...usual, ...readSeconds() };
    const fileOf = (spec: TestSpecification) => path.relative(this.ctx.config.root, spec.moduleId);
    return slowestFirst(await super.sort(files), fileOf, seconds);
  }
}

/** Sorts by what each took the last time; what is not known goes first, as it was. */
export function slowestFirst<T>(files: T[], fileOf: (file: T) => string, seconds: Seconds): T[] {
  const took = (file: T) => seconds[fileOf(file)] ?? Number.MAX_VALUE;
  return files.toSorted((left, right) => took(right) - took(left));
}

/** Nothing where nothing was recorded, or what is no record. */
export function readSeconds(file = cacheFile()): Seconds {
  if (!existsSync(file)) return {};
  try {
    const entries = Object.entries(JSON.parse(readFileSync(file, "utf8")));
    return Object.fromEntries(entries.filter((entry): entry is [string, number] => typeof entry[1] === "number"));
  } catch {
    return {};
  }
}

/** Adds to what was recorded before. */
export function recordSeconds(seconds: Seconds, file = cacheFile()): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, `${JSON.stringify({ ...readSeconds(file), ...seconds }, null, 2)}\n`);
  renameSync(partial, file);
}
