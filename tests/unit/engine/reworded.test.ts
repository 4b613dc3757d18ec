import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Waiting } from "../../../cli/waiting.ts";
import { recordLine, recordsVariable, type VmChange, type VmProgress } from "../../../src/core/records.ts";
import type { StackPlace } from "../../../src/engine/change.ts";
import {
  describeChanges,
  emptyReport,
  type OperationReport,
  readEvent,
  vanishedVms,
} from "../../../src/engine/events.ts";
import { createProject, destroyProject } from "../../../src/engine/project-changes.ts";
import type { Guest } from "../../../src/guest/guest.ts";
import { limits, waitUntilReady } from "../../../src/guest/ready.ts";
import { describeRemovals } from "../../../src/lifecycle/leftovers.ts";
import { describePlan, type ProjectFound, planVm, type VmWanted } from "../../../src/lifecycle/plan.ts";
import { aDomain, anInventory } from "../found.ts";
import { aHostKey, anAddress, guestText } from "../guest/samples.ts";

/*
 * All that people read is in other words here: the sentences, and what the program says of a VM. Whatever programs make of it must be
 * the same.
 */
const words = "Wörter von morgen: new VM? waiting for boot, 1 s";
vi.mock("../../../src/core/records.ts", async (original) => ({
  ...(await original<object>()),
  sentence: () => words,
}));

const engine = vi.hoisted(() => ({ preview: vi.fn(), up: vi.fn(), resources: vi.fn() }));
vi.mock("../../../src/engine/engine.ts", () => ({
  Engine: class {
    pulumi = { isRunning: false };
    select = async () => undefined;
    outputs = async () => ({ projects: { webapp: { name: "webapp" } } });
    preview = engine.preview;
    up = engine.up;
    resources = engine.resources;
  },
}));
vi.mock("../../../src/engine/purge.ts", () => ({ purgeUnclaimed: async () => true }));

const settings = {
  memory: 1,
  cpus: 1,
  firmware: "bios",
  disk: 1,
  rootDisk: 1,
  autostart: false,
  keepData: true,
} as const;
const wanted = (name: string): VmWanted => ({
  name,
  settings,
  network: { kind: "existing", name: "x" },
  virtualization: "kvm",
  definition: "d",
});
const none: ProjectFound = { domain: undefined, rootDisk: undefined, projectDisk: undefined, network: undefined };

/** What the program says of a VM that its host does not have, and of one that goes. */
const isNew = (name: string) => describePlan(none, wanted(name), planVm(none, wanted(name)));
const goes = (name: string) =>
  describeRemovals({
    inventory: anInventory({ domains: [aDomain({ name: `project-${name}` })] }),
    storageDir: "/vms",
    owner: "storage",
    projects: [],
  })[0];

/** An event of the engine's for what the program says, in other words. */
function reworded(change: VmChange | undefined): EngineEvent {
  const line = recordLine({ ...(change as VmChange), text: words }, { [recordsVariable]: "1" });
  const diagnosticEvent = { severity: "info", color: "never", message: `<{%reset%}>${line}<{%reset%}>\n` };
  return { sequence: 1, timestamp: 1, diagnosticEvent } as EngineEvent;
}

/** What a preview tells. */
function told(...events: EngineEvent[]): OperationReport {
  const seen = emptyReport();
  for (const one of events) expect(readEvent(one, seen)).toEqual([]);
  return seen;
}

test("a VM that is gone from its host is missed", () => {
  expect(vanishedVms(told(reworded(isNew("webapp")), reworded(goes("old"))))).toEqual(["webapp"]);
});

test("what is waited for is known, by a step's lines and by a wait of this process", async () => {
  const [ofStep, ofProcess] = [new Waiting(), new Waiting()];
  const well = {
    name: "project-app",
    answers: async () => true,
    cloudInitDone: async () => undefined,
    check: async (stage: string) => {
      if (stage !== "disk") throw new Error("no");
    },
    addresses: async () => [anAddress("10.77.0.5")],
    hostKeys: async () => [aHostKey()],
    log: async () => guestText(""),
  } as unknown as Guest;
  const lines: string[] = [];
  const log = (line: string, progress?: VmProgress) => {
    lines.push(line);
    if (!progress) return;
    ofProcess.heard(progress);
    const message = `<{%reset%}>${recordLine(progress, { [recordsVariable]: "1" })}<{%reset%}>\n`;
    const diagnosticEvent = { severity: "info", color: "never", message, urn: "urn:step", ephemeral: true };
    for (const said of readEvent({ diagnosticEvent } as EngineEvent, emptyReport())) ofStep.heard(said as VmProgress);
  };
  await expect(waitUntilReady(well, limits.kvm, log)).rejects.toThrow("is not ready");
  expect(lines).toEqual([words, words, words, words]);
  const waits = "project-app: waiting for docker, nix, claude";
  expect([ofStep.describe(), ofProcess.describe()]).toEqual([waits, waits]);
});

let stack: StackPlace;
const file = () => readFileSync(path.join(stack.root, stack.file), "utf8");
const log = () => undefined;
beforeEach(() => {
  const root = mkdtempSync(path.join(tmpdir(), "reworded-"));
  stack = { name: "storage", root, file: "Pulumi.storage.yaml", isEmbedded: false, mayBeginElsewhere: false };
  mkdirSync(path.join(root, ".local"));
  writeFileSync(path.join(root, "Pulumi.yaml"), "name: project-vms\nruntime: nodejs\n");
  writeFileSync(path.join(root, stack.file), "config:\n  project-vms:projects: {webapp: {}, api: {}}\n");
  engine.preview.mockReset();
  engine.up.mockReset().mockResolvedValue(emptyReport());
  engine.resources.mockReset().mockResolvedValue([]);
});
afterEach(() => rmSync(stack.root, { recursive: true }));

describe("create, of a project that the stack has", () => {
  const create = () => createProject(stack, { name: "webapp" }, async () => true, log);

  test("is refused where its VM is there", async () => {
    engine.preview.mockResolvedValue(told(reworded(isNew("api"))));
    await expect(create()).rejects.toThrow("projects.webapp: is there already");
    expect(engine.up).not.toHaveBeenCalled();
  });

  test("makes the VM again where that is gone from its host", async () => {
    engine.preview.mockResolvedValue(told(reworded(isNew("webapp"))));
    await create();
    expect(engine.up).toHaveBeenCalledWith(true);
  });
});

describe("destroy", () => {
  const keepsNothing = {
    type: "command:local:Command",
    urn: "urn:pulumi:storage::v::project-vms:index:ProjectVm$command:local:Command::webapp-teardown",
    inputs: { environment: { PROJECT_VMS_TEARDOWN: JSON.stringify({ keepData: false }) } },
  };
  const removal = (fate: "kept" | "purged") => ({ name: "webapp", host: {} as never, fate });

  /** What is confirmed, each time, as a project and what becomes of it. */
  async function confirmed(fate: "kept" | "purged") {
    const asked: unknown[] = [];
    const confirm = async (seen: OperationReport) => {
      asked.push(
        seen.changes.map((change) => (typeof change === "string" ? change : `${change.project} ${change.kind}`)),
      );
      expect(describeChanges(seen).every((line) => line === words)).toBe(true);
      return true;
    };
    expect(await destroyProject(stack, removal(fate), confirm, log)).toBe(true);
    expect(file()).not.toContain("webapp");
    return asked;
  }

  test("with --purge lists all that changes, and the disk's end", async () => {
    engine.preview.mockResolvedValue(told(reworded(goes("webapp")), reworded(isNew("api"))));
    expect(await confirmed("purged")).toEqual([["webapp removed", "api new", "webapp removed"]]);
  });

  test("with --keep-data asks once, and lists what becomes of others", async () => {
    engine.resources.mockResolvedValueOnce([keepsNothing]);
    engine.preview.mockResolvedValueOnce(
      told(reworded({ project: "webapp", kind: "changed", text: "" }), reworded(isNew("api"))),
    );
    engine.preview.mockResolvedValueOnce(told(reworded(goes("webapp"))));
    expect(await confirmed("kept")).toEqual([["api new", "webapp removed"]]);
  });

  test("with --keep-data asks again where somebody else's change has come in between", async () => {
    engine.resources.mockResolvedValueOnce([keepsNothing]);
    engine.preview.mockResolvedValueOnce(told(reworded({ project: "webapp", kind: "changed", text: "" })));
    engine.preview.mockResolvedValueOnce(told(reworded(goes("webapp")), reworded(isNew("api"))));
    expect(await confirmed("kept")).toEqual([["webapp removed"], ["webapp removed", "api new"]]);
  });
});
