import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Engine } from "../../../src/engine/engine.ts";
import { applyStack } from "../../../src/engine/project-changes.ts";
import { describeOutputs, stackOutputs } from "../../../src/engine/stack-outputs.ts";
import { PulumiDouble } from "./pulumi-double.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));

const double = new PulumiDouble();
const log = () => undefined;
const good = {
  name: "demo",
  state: "running",
  addresses: ["10.77.0.5"],
  ssh: "ssh -F /c project-demo",
  hostKeys: [],
  tailnetName: "project-demo.tail1.ts.net",
  disks: { root: "/r", project: "/p" },
  image: "debian",
};
/** As a version noted it down that took a guest's word. */
const forged = { ...good, addresses: ["10.77.0.5\n  ProxyCommand touch /tmp/x"], tailnetName: "x$(touch /tmp/x)" };

const state = (projects: unknown) =>
  vi.spyOn(Engine.prototype, "outputs").mockResolvedValue({ instructions: "log in", projects });
afterEach(() => void vi.restoreAllMocks());

test("what a stack says of itself is as an update left it, but for what an earlier version took from a guest as it was", async () => {
  state({ demo: good, bad: forged });
  const stack = { name: "storage", root: "/" };
  const checked = { ...good, addresses: [], tailnetName: undefined };
  const all = await stackOutputs(stack, undefined, log);
  expect(JSON.parse(JSON.stringify(all))).toEqual({
    instructions: "log in",
    projects: { demo: good, bad: JSON.parse(JSON.stringify(checked)) },
  });
  expect(await stackOutputs(stack, "bad", log)).toEqual(checked);
  expect(describeOutputs(await stackOutputs(stack, "demo", log))).toBe(describeOutputs(good));
});

test.each(["[secret]", undefined])("projects that are %s stay so", async (projects) => {
  state(projects);
  expect(await stackOutputs({ name: "storage", root: "/" }, undefined, log)).toEqual({
    instructions: "log in",
    projects,
  });
});

test("what an update has made is shown by the same checks", async () => {
  writeFileSync(path.join(double.root, "elsewhere/storage"), "");
  state({ demo: { ...forged, name: "demo" } });
  process.env.UPDATE = "exit 0";
  expect(await applyStack(double.place(), async () => true, log)).toMatchObject([{ name: "demo", addresses: [] }]);
});
