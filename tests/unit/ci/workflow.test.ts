import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";

const text = readFileSync(".github/workflows/ci.yml", "utf8");
const { jobs } = parse(text) as { jobs: Record<string, { steps: { run?: string; uses?: string }[] }> };
const steps = Object.values(jobs).flatMap((job) => job.steps);

test("CI on GitHub runs .ci/run, and nothing of its own", () => {
  expect(steps.flatMap(({ run }) => run ?? [])).toEqual([".ci/run"]);
});

test("each action is pinned by its commit, with the version beside it", () => {
  const uses = steps.flatMap((step) => step.uses ?? []);
  expect(uses.length).toBeGreaterThan(0);
  for (const one of uses)
    expect(text).toMatch(new RegExp(`uses: ${one.replace(/@.*/, "")}@[0-9a-f]{40} # v\\d+\\.\\d+\\.\\d+$`, "m"));
});
