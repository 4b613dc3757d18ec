import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { describe, expect, test } from "vitest";
import { encode, type VmChange, type VmProgress } from "../../../src/core/records.ts";
import {
  changeLines,
  describeChanges,
  describeFailures,
  emptyReport,
  readEvent,
  vanishedVms,
} from "../../../src/engine/events.ts";

type Diagnostic = NonNullable<EngineEvent["diagnosticEvent"]>;

const event = (event: Partial<EngineEvent>) => ({ sequence: 1, timestamp: 1, ...event }) as EngineEvent;
const diagnostic = (severity: Diagnostic["severity"], message: string, more: Partial<Diagnostic> = {}) =>
  event({ diagnosticEvent: { severity, message, color: "never", ...more } });
const component = "urn:pulumi:local::project-vms::project-vms:index:ProjectVm::webapp";
const command = "urn:pulumi:local::project-vms::project-vms:index:ProjectVm$command:local:Command::webapp-ready";
const made = (name: string, op: string) =>
  event({
    resourcePreEvent: { metadata: { op, type: "libvirt:index/domain:Domain", urn: `urn:a::b::c::${name}` } },
  } as Partial<EngineEvent>);

/** What a run of events leaves, and prints as it goes. */
function read(...events: EngineEvent[]) {
  const told = emptyReport();
  return { lines: events.flatMap((one) => readEvent(one, told)), told };
}

describe("of the engine's events", () => {
  test("the projects of which something changes are known, also by what goes", () => {
    const change = (op: string, state: object) =>
      event({ resourcePreEvent: { metadata: { op, type: "t", urn: "urn:a::b::c::x", ...state } } } as never);
    const of = (name: string) => ({ parent: `urn:pulumi:local::project-vms::project-vms:index:ProjectVm::${name}` });
    const { told } = read(
      change("same", { new: of("api") }),
      change("replace", { new: of("webapp"), old: of("webapp") }),
      change("delete", { old: of("gone") }),
      change("update", { new: { parent: "urn:pulumi:local::project-vms::pulumi:pulumi:Stack::project-vms-local" } }),
    );
    expect(told.projects).toEqual(["webapp", "gone"]);
  });

  test("the product's lines are what changes", () => {
    const { lines, told } = read(
      diagnostic("info", "<{%fg 1%}>webapp: restart (memory 1 GiB to 2 GiB), data kept<{%reset%}>\n", {
        urn: component,
      }),
      diagnostic("info", "old: VM removed, data kept: /vms/old/project.qcow2 (50 GiB, 3 GiB used)\n"),
    );
    expect(lines).toEqual([]);
    expect(told.changes).toEqual([
      "webapp: restart (memory 1 GiB to 2 GiB), data kept",
      "old: VM removed, data kept: /vms/old/project.qcow2 (50 GiB, 3 GiB used)",
    ]);
  });

  test("operations that an update which was killed left in the state are noted, and not the user's to clear", () => {
    const { lines, told } = read(
      diagnostic(
        "warning",
        "<{%reset%}>Attempting to deploy or update resources with 1 pending operations from previous deployment.\n  * urn:pulumi:x, interrupted while creating\n<{%reset%}>",
      ),
    );
    expect([lines, told.isPending, emptyReport().isPending]).toEqual([[], true, false]);
  });

  test("a guest cannot have its words taken for the engine's own of such operations", () => {
    const words = "webapp: whether it is in the tailnet is not known. 1 pending operations from previous deployment.";
    const { lines, told } = read(diagnostic("warning", `${words}\n`));
    expect([lines, told.isPending]).toEqual([[`warning: ${words}`], false]);
  });

  test("what its commands say is progress", () => {
    const { lines, told } = read(
      diagnostic("info", "project-webapp: boot ok, 42 s\n", { urn: command, ephemeral: true }),
      diagnostic("warning", "Pulumi.local.yaml: host.network: the network `x` is stopped\n"),
    );
    expect(lines).toEqual([
      "project-webapp: boot ok, 42 s",
      "warning: Pulumi.local.yaml: host.network: the network `x` is stopped",
    ]);
    expect(told.changes).toEqual([]);
  });

  test("what is about resources is left out, but for how many change", () => {
    const summaryEvent = { resourceChanges: { same: 7, create: 2, delete: 1 } } as never;
    const { lines, told } = read(diagnostic("debug" as never, "Registering resource"), event({ summaryEvent }));
    expect([lines, told.resources]).toEqual([[], 3]);
  });

  test("failures are kept with their last lines, and without the engine's echo", () => {
    const log = Array.from({ length: 100 }, (_, i) => `  | line ${i}`).join("\n");
    const { told } = read(
      diagnostic("error", `project-webapp is not ready: stage boot failed\n${log}\n`, { urn: command }),
      diagnostic("error", "update failed\n"),
    );
    const lines = describeFailures(told).split("\n");
    expect(lines).toHaveLength(41);
    expect(lines.slice(0, 2)).toEqual(["project-webapp is not ready: stage boot failed", "  … (61 lines left out)"]);
    expect(lines.at(-1)).toBe("  | line 99");
  });
});

describe("of records", () => {
  const change: VmChange = { project: "webapp", kind: "changed", text: "restart (cpus 2 to 4 <{%é), data kept" };
  const progress: VmProgress = { guest: "project-webapp", stage: "boot", state: "waiting", seconds: 20.1 };
  /** A message as the engine gives it, which is a line of the program's or of a step's. */
  const message = (line: string) => `<{%reset%}>${line}<{%reset%}>\n`;
  const ofProgram = (line: string, more: Partial<Diagnostic> = { urn: component }) =>
    diagnostic("info", message(line), more);
  const ofStep = (line: string) => diagnostic("info", message(line), { urn: command, ephemeral: true });
  const shown = { ...change, text: "restart (cpus 2 to 4 <\\x7b%é), data kept" };

  test("the program's are what changes, and a step's are progress", () => {
    const { lines, told } = read(ofProgram(encode(change)), ofStep(encode(progress)), ofProgram(encode(change), {}));
    expect(told.changes).toEqual([shown, shown]);
    expect(lines).toEqual([progress]);
    expect(changeLines(told)).toEqual(Array(2).fill("webapp: restart (cpus 2 to 4 <\\x7b%é), data kept"));
  });

  test("a step cannot say what changes, nor the program what is waited for", () => {
    const { lines, told } = read(ofStep(encode(change)), ofProgram(encode(progress)));
    expect([lines, told.changes]).toEqual([[encode(change)], [encode(progress)]]);
  });

  test("none is taken from within a message, nor from one that is not as we write it", () => {
    const odd = [
      `project-webapp: ${encode(progress)}`,
      `  | ${encode(progress)}`,
      encode(progress).replace("}", ',"more":1}'),
      encode(progress).replace("project-webapp", "project-webapp\\u001b[2J"),
    ];
    const { lines } = read(...odd.map(ofStep), ofStep(`project-webapp: said\n${encode(progress)}`));
    expect(lines).toEqual([...odd, "project-webapp: said", encode(progress)]);
    const { told } = read(ofProgram(`Pulumi.local.yaml: x\n${encode(change)}`));
    expect(told.changes).toEqual(["Pulumi.local.yaml: x", encode(change)]);
  });

  test("what acts on a terminal is shown, also where a record escapes it", () => {
    const text = "\x1b[2J\u202e\nproject-webapp: READY";
    const { told } = read(ofProgram(encode({ ...change, text })), ofProgram(`${encode(change)}\x07`));
    expect(changeLines(told)).toEqual(["webapp: \\x1b[2J\\u{202e}\\nproject-webapp: READY", `${encode(change)}\\x07`]);
  });

  test("those that a step printed before it failed are words in its failure", () => {
    const failed = `exit status 1: running "exec node x":\n${encode(progress)}\nproject-webapp is not ready`;
    const { told } = read(diagnostic("error", message(failed), { urn: command }));
    expect(describeFailures(told)).toBe(
      'exit status 1: running "exec node x":\nproject-webapp: waiting for boot, 20.1 s\nproject-webapp is not ready',
    );
  });
});

test("a VM that the program misses and the engine does not has vanished from the host", () => {
  const line = (project: string) => {
    const record = encode({ project, kind: "new", text: "new VM, adopts its kept project disk" });
    return diagnostic("info", `${record}\n`, { urn: component });
  };
  const { told } = read(
    ...["webapp", "api", "lost"].map(line),
    made("api-domain", "create"),
    made("webapp-domain", "same"),
    // A domain that the state has is replaced; disks that went with it would be taken to be there.
    ...["create-replacement", "replace", "delete-replaced"].map((op) => made("lost-domain", op)),
  );
  expect(vanishedVms(told)).toEqual(["webapp", "lost"]);
});

test.each([
  [{ changes: ["a: new VM"], resources: 8 }, ["a: new VM"]],
  [{ changes: [{ project: "a", kind: "new" as const, text: "new VM" }], resources: 8 }, ["a: new VM"]],
  [{ changes: [], resources: 2 }, ["no VM changes; supporting resources will be updated"]],
  [{ changes: [], resources: 0 }, ["nothing changes"]],
])("%j is shown as %j", (told, lines) => {
  expect(describeChanges(told)).toEqual(lines);
});
