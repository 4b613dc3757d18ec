import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { mayBegin } from "../../../cli/change.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { describeChanges, type OperationReport } from "../../../src/engine/events.ts";
import { applyStack, destroyProject, planStack } from "../../../src/engine/project-changes.ts";
import { PulumiDouble, pulumi, text } from "./pulumi-double.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));

const double = new PulumiDouble();
const silent = () => undefined;

test("a plan begins no stack in another backend, and names that", async () => {
  await expect(planStack(double.place(), silent)).rejects.toThrow(
    [
      "Nothing was changed.",
      `  - stack storage: must be in the backend file://${double.root}/elsewhere, and only \`apply\` and \`create\` with \`--yes\` begin it there`,
      "    unset PULUMI_BACKEND_URL if this checkout's own state is meant; to begin it there: `pulumi stack init storage`",
    ].join("\n"),
  );
  expect(double.asked()).not.toContain("init");
});

test.each([
  [{ yes: true }, true],
  [{}, false],
  [{ dryRun: true }, false],
  [{ yes: true, dryRun: true }, false],
] as const)("an apply with %j begins it there: %s", async (options, isBegun) => {
  await applyStack(double.place(mayBegin(options)), async () => false, silent).catch(silent);
  expect(double.asked().includes("stack init")).toBe(isBegun);
});

test("in the checkout's own one a plan begins it, as it always did", async () => {
  delete process.env.PULUMI_BACKEND_URL;
  await planStack(double.place(), silent);
  expect(double.asked()).toContain("stack init");
});

test("an apply begins it where an engine left its lock which was killed while it did", async () => {
  const locks = path.join(double.root, "elsewhere/.pulumi/locks/organization/project-vms/storage");
  mkdirSync(locks, { recursive: true });
  const { pid } = spawnSync("true");
  writeFileSync(path.join(locks, "1.json"), JSON.stringify({ pid, hostname: hostname(), username: "me" }));
  double.replace(pulumi.replace('"stack init "*)', `"stack init "*) [ ! -e ${locks}/1.json ] || exit 255;`));
  const said: string[] = [];
  await applyStack(
    double.place(true),
    async () => false,
    (line) => said.push(line),
  );
  expect(said).toContain(`releasing the lock of an update that did not finish (process ${pid})`);
  expect(double.asked()).toContain("stack init");
});

test.each([
  ["while it began the stack", '"stack init "*)', false],
  ["while it updated it", "up*)", true],
])("a stack's file that an engine emptied which was killed %s is put back", async (_, command, isBegun) => {
  if (isBegun) writeFileSync(path.join(double.root, "elsewhere/storage"), "");
  double.replace(pulumi.replace(command, () => `${command} : >${double.root}/Pulumi.storage.yaml; kill -9 $$;`));
  await expect(applyStack(double.place(true), async () => true, silent)).rejects.toThrow();
  expect(readFileSync(path.join(double.root, "Pulumi.storage.yaml"), "utf8")).toBe(text);
});

test("an update starts no more engines than it needs", async () => {
  writeFileSync(path.join(double.root, "elsewhere/storage"), "");
  expect(await applyStack(double.place(), async () => true, silent)).toEqual([]);
  const verbs = double.asked().trimEnd().split("\n");
  expect(verbs.map((line) => line.replace(/ --.*/, ""))).toEqual([
    ...["version", "stack select", "preview", "up", "stack output"],
  ]);
});

const teardown = (keepData: boolean) => ({
  type: "command:local:Command",
  urn: "urn:pulumi:storage::v::project-vms:index:ProjectVm$command:local:Command::demo-teardown",
  inputs: { environment: { PROJECT_VMS_TEARDOWN: JSON.stringify({ keepData }) } },
});
const inState = (...resources: unknown[]) =>
  writeFileSync(path.join(double.root, "elsewhere/storage"), JSON.stringify({ version: 3, deployment: { resources } }));

test("what a removal may delete is asked of the backend that is used, not of the checkout's own", async () => {
  mkdirSync(path.join(double.root, ".local/state/.pulumi/stacks/project-vms"), { recursive: true });
  const own = { checkpoint: { latest: { resources: [teardown(false)] } } };
  writeFileSync(path.join(double.root, ".local/state/.pulumi/stacks/project-vms/storage.json"), JSON.stringify(own));
  inState(teardown(true));
  expect(await new Engine(double.root, "storage", silent).resources()).toEqual([teardown(true)]);
  expect(double.asked()).toContain("stack export --stack storage --non-interactive");
});

test("with --keep-data the state is first told to keep a disk that it may delete", async () => {
  inState(teardown(false));
  const facts: string[][] = [];
  const removal = { name: "demo", host: {} as never, fate: "kept" } as const;
  const confirm = async (told: OperationReport) => facts.push(describeChanges(told)) < 0;
  expect(await destroyProject(double.place(), removal, confirm, silent)).toBe(false);
  expect(facts).toEqual([["demo: VM removed, data kept (--keep-data)"]]);
});

test("an engine that cannot tell what it may delete deletes nothing", async () => {
  writeFileSync(path.join(double.root, "elsewhere/storage"), "");
  double.replace(pulumi.replace('cat "elsewhere/$4"', "echo error: no access >&2; exit 255"));
  const removal = { name: "demo", host: {} as never, fate: "kept" } as const;
  await expect(destroyProject(double.place(), removal, async () => true, silent)).rejects.toThrow("no access");
  expect([double.asked().includes("up "), readFileSync(path.join(double.root, "Pulumi.storage.yaml"), "utf8")]).toEqual(
    [false, text],
  );
});
