import path from "node:path";
import type { Reporter, TestModule } from "vitest/node";
import { recordSeconds, type Seconds } from "./slowest-first.ts";

/** Prints at the end what each test file took, hooks and all, the slowest first; the next run begins with those. */
export default class SecondsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const took = modules.map((module): [string, number] => [
      path.relative(module.project.config.root, module.moduleId),
      module.diagnostic().duration / 1000,
    ]);
    const seconds = Object.fromEntries(took);
    recordSeconds(seconds);
    console.log(secondsLines(seconds).join("\n"));
  }
}

/** A line for each file, and one for all of them. */
export function secondsLines(seconds: Seconds): string[] {
  const files = Object.entries(seconds).sort(([, left], [, right]) => right - left);
  const total = files.reduce((sum, [, took]) => sum + took, 0);
  const rows: [string, number][] = [...files, [`${files.length} files, one after another`, total]];
  return rows.map(([what, took]) => `${String(Math.round(took)).padStart(6)} s  ${what}`);
}
