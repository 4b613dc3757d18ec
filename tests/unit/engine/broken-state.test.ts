import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { Engine } from "../../../src/engine/engine.ts";
import { applyStack, planStack } from "../../../src/engine/project-changes.ts";
import { PulumiDouble } from "./pulumi-double.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));

const double = new PulumiDouble();
const silent = () => undefined;
beforeEach(() => {
  const folder = path.join(double.root, "elsewhere/.pulumi/stacks/project-vms");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "storage.json"), '{"version":3,"check');
});

test.each<[string, () => Promise<unknown>]>([
  ["a plan", () => planStack(double.place(), silent)],
  ["an apply", () => applyStack(double.place(), async () => true, silent)],
  ["what reads the outputs", () => new Engine(double.root, "storage", silent).outputs()],
  ["what reads the resources", () => new Engine(double.root, "storage", silent).resources()],
])("%s names a state that is cut off, and asks no engine of it", async (_, run) => {
  await expect(run()).rejects.toThrow(
    `Nothing was changed: the state of the stack storage cannot be read.\n  - ${double.root}/elsewhere/.pulumi/stacks/project-vms/storage.json: must be`,
  );
  expect(double.asked()).toBe("");
});
