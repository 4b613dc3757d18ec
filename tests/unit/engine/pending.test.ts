import { Stack, type UpOptions } from "@pulumi/pulumi/automation/index.js";
import { expect, test, vi } from "vitest";
import { Engine } from "../../../src/engine/engine.ts";
import { PulumiDouble } from "./pulumi-double.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));

const double = new PulumiDouble();
const message = "Attempting to deploy or update resources with 1 pending operations from previous deployment.\n";
const warning = { sequence: 1, timestamp: 1, diagnosticEvent: { message, color: "never", severity: "warning" } };

/** What the engine does in an update, in its order; with the pending operations that a killed one has left, or none. */
async function done(isPending: boolean, refresh = false) {
  const steps: object[] = [];
  const up = async ({ onEvent }: UpOptions) => {
    steps.push({ up: true });
    if (isPending) onEvent?.(warning as never);
  };
  const stack = { up, refresh: async (options: object) => void steps.push({ refresh: options }) };
  vi.spyOn(Stack, "select").mockResolvedValue(stack as never);
  await new Engine(double.root, "storage", () => undefined).up(refresh);
  return steps;
}

test("what a killed update has left pending is forgotten after the next one, and no resource is read for that", async () => {
  expect(await done(false)).toEqual([{ up: true }]);
  const target = ["urn:pulumi:storage::project-vms::pulumi:pulumi:Stack::project-vms-storage"];
  expect(await done(true)).toEqual([{ up: true }, { refresh: { color: "never", clearPendingCreates: true, target } }]);
});

test("all resources are read before an update that is to bring back what others removed", async () => {
  expect(await done(false, true)).toEqual([{ refresh: { color: "never" } }, { up: true }]);
});
