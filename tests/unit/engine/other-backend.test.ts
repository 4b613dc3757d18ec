import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { mayBegin } from "../../../cli/change.ts";
import { placeOf } from "../../../engine/change.ts";
import { Engine } from "../../../engine/engine.ts";
import { applyStack, destroyProject, planStack } from "../../../engine/project-changes.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));

let root: string;
const before = { ...process.env };

/** A `pulumi` that notes what it is asked for, and has the stacks that are files in `elsewhere`. */
const pulumi = `#!/bin/sh
echo "$*" >>"$ASKED"
case $* in
version*) echo v3.250.0 ;;
"stack select --stack "*) [ -e "elsewhere/$4" ] || { echo "error: no stack named '$4' found" >&2; exit 255; } ;;
"stack init "*) touch "elsewhere/$3"; touch "elsewhere/$5" ;;
"stack export "*) cat "elsewhere/$4" ;;
"stack output"*) echo '{}' ;;
preview*) [ "$REFUSED" ] || exit 0; echo "error: $REFUSED" >&2; exit 255 ;;
esac
`;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "other-backend-"));
  mkdirSync(path.join(root, "bin"));
  mkdirSync(path.join(root, "elsewhere"));
  writeFileSync(
    path.join(root, "Pulumi.yaml"),
    "name: project-vms\nruntime: nodejs\nbackend: {url: file://./.local/state}\n",
  );
  writeFileSync(path.join(root, "Pulumi.storage.yaml"), text);
  writeFileSync(path.join(root, "bin/pulumi"), pulumi);
  chmodSync(path.join(root, "bin/pulumi"), 0o755);
  const ASKED = path.join(root, "asked");
  Object.assign(process.env, {
    PATH: `${root}/bin:${before.PATH}`,
    PULUMI_BACKEND_URL: `file://${root}/elsewhere`,
    ASKED,
  });
});
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  rmSync(root, { recursive: true });
});

const text =
  'config:\n  project-vms:host: {uri: "qemu:///system"}\n  project-vms:projects: {demo: {keepData: false}}\n';
const place = (mayBeginElsewhere = false) =>
  placeOf({ name: "storage", root, file: "Pulumi.storage.yaml", config: { host: {} } as never }, mayBeginElsewhere);
const asked = () => (existsSync(process.env.ASKED ?? "") ? readFileSync(process.env.ASKED ?? "", "utf8") : "");
const silent = () => undefined;

test("a plan begins no stack in another backend, and names that", async () => {
  await expect(planStack(place(), silent)).rejects.toThrow(
    [
      "Nothing was changed.",
      `  - stack storage: must be in the backend file://${root}/elsewhere, and only \`apply\` and \`create\` with \`--yes\` begin it there`,
      "    unset PULUMI_BACKEND_URL if this checkout's own state is meant; to begin it there: `pulumi stack init storage`",
    ].join("\n"),
  );
  expect(asked()).not.toContain("init");
});

test.each([
  [{ yes: true }, true],
  [{}, false],
  [{ dryRun: true }, false],
  [{ yes: true, dryRun: true }, false],
] as const)("an apply with %j begins it there: %s", async (options, isBegun) => {
  await applyStack(place(mayBegin(options)), async () => false, silent).catch(silent);
  expect(asked().includes("stack init")).toBe(isBegun);
});

test("in the checkout's own one a plan begins it, as it always did", async () => {
  delete process.env.PULUMI_BACKEND_URL;
  await planStack(place(), silent);
  expect(asked()).toContain("stack init");
});

test("an update starts no more engines than it needs", async () => {
  writeFileSync(path.join(root, "elsewhere/storage"), "");
  expect(await applyStack(place(), async () => true, silent)).toEqual([]);
  const verbs = asked().trimEnd().split("\n");
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
  writeFileSync(path.join(root, "elsewhere/storage"), JSON.stringify({ version: 3, deployment: { resources } }));

test("what a removal may delete is asked of the backend that is used, not of the checkout's own", async () => {
  mkdirSync(path.join(root, ".local/state/.pulumi/stacks/project-vms"), { recursive: true });
  const own = { checkpoint: { latest: { resources: [teardown(false)] } } };
  writeFileSync(path.join(root, ".local/state/.pulumi/stacks/project-vms/storage.json"), JSON.stringify(own));
  inState(teardown(true));
  expect(await new Engine(root, "storage", silent).resources()).toEqual([teardown(true)]);
  expect(asked()).toContain("stack export --stack storage --non-interactive");
});

test("with --keep-data the state is first told to keep a disk that it may delete", async () => {
  inState(teardown(false));
  const facts: string[][] = [];
  const removal = { name: "demo", host: {} as never, fate: "kept" } as const;
  const confirm = async ({ changes }: { changes: string[] }) => facts.push(changes) < 0;
  expect(await destroyProject(place(), removal, confirm, silent)).toBe(false);
  expect(facts).toEqual([["demo: VM removed, data kept (--keep-data)"]]);
});

test("an engine that cannot tell what it may delete deletes nothing", async () => {
  writeFileSync(path.join(root, "elsewhere/storage"), "");
  writeFileSync(
    path.join(root, "bin/pulumi"),
    pulumi.replace('cat "elsewhere/$4"', "echo error: no access >&2; exit 255"),
  );
  const removal = { name: "demo", host: {} as never, fate: "kept" } as const;
  await expect(destroyProject(place(), removal, async () => true, silent)).rejects.toThrow("no access");
  expect([asked().includes("up "), readFileSync(path.join(root, "Pulumi.storage.yaml"), "utf8")]).toEqual([
    false,
    text,
  ]);
});
