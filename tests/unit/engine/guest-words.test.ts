import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { StackLocked } from "../../../src/checkout/locked-stack.ts";
import { changeProject } from "../../../src/engine/project-changes.ts";
import { PulumiDouble, text } from "./pulumi-double.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));

const double = new PulumiDouble();
const file = () => path.join(double.root, "Pulumi.storage.yaml");
beforeEach(() => writeFileSync(path.join(double.root, "elsewhere/storage"), ""));

/** How a change ends whose update does this, a script. */
async function changed(update: string) {
  process.env.UPDATE = update;
  const change = changeProject(
    double.place(),
    "demo",
    { memory: "2 GiB" },
    async () => true,
    () => undefined,
  );
  const error = await change.then(
    () => undefined,
    (error: Error) => error,
  );
  return { isLocked: error instanceof StackLocked, said: error?.message ?? "", file: readFileSync(file(), "utf8") };
}

const locked =
  "the stack is currently locked by 1 lock(s)\n  file:///x: created by root@build (pid 4711) at 2026-11-21";
const reason = `project-demo is not ready: stage docker failed after 3 s: ${locked}`;

test("an update that finds the stack locked has not begun, and the file is as it was", async () => {
  const { isLocked, said, file } = await changed(`echo 'error: ${locked}' >&2; exit 255`);
  expect([isLocked, file]).toEqual([true, text]);
  expect(said).toContain("is locked by process 4711 of root@build, since 2026-11-21");
});

test.each([
  ["what the engine shows of a failed step", `echo 'error: ${locked}'; exit 255`],
  ["the middle of what it says", `echo '${reason}' >&2; exit 255`],
  ["anything that it says when it has begun", `echo 'Updating (storage)'; echo 'error: ${locked}' >&2; exit 255`],
])("a guest cannot have it taken for locked: %s", async (_, update) => {
  const { isLocked, said, file } = await changed(update);
  expect(isLocked).toBe(false);
  expect(file).toContain("demo: {keepData: false, memory: 2 GiB}");
  expect(said).toContain("The update of the stack storage did not succeed:\n");
  expect(said).toContain("Pulumi.storage.yaml has the change");
});
