import { expect, test } from "vitest";
import type { Outline } from "../../../src/checkout/outline.ts";
import { GiB } from "../../../src/core/sizes.ts";
import type { HostFound, VmFound } from "../../../src/operations/look-at-vms.ts";
import { type VmRow, vmRows } from "../../../src/operations/rows.ts";
import type { BackupsFound } from "../../../src/project-disks/backup-age.ts";
import { anAddress } from "../guest/samples.ts";
import { aHost, anOutline, aProject, aVm } from "./samples.ts";

const row = (changes: Partial<VmRow>): VmRow => ({
  stack: "storage",
  name: "webapp",
  state: "running",
  inConfig: true,
  memory: 8 * GiB,
  cpus: 4,
  disk: { size: 50 * GiB, used: 3 * GiB },
  addresses: [],
  backup: null,
  ...changes,
});
const keptDisk = { name: "old", path: "/vms/old/project.qcow2", size: 10 * GiB, used: GiB };
const rowsOf = (outline: Outline, host: HostFound, inState: string[], backups?: BackupsFound) =>
  vmRows(outline, host, { inState, backups, targets: [] });

test("a VM is shown as its host has it, with its address only while it runs", () => {
  const running = aHost({ vms: [aVm({ memory: 4 * GiB })] });
  expect(rowsOf(anOutline(), running, [])).toEqual([row({ memory: 4 * GiB, addresses: ["10.77.0.5"] })]);
  const off = aHost({ vms: [aVm({ state: "shut off" })] });
  expect(rowsOf(anOutline(), off, [])).toEqual([row({ state: "shut off" })]);
});

test("a VM on a bridge of the host, of which libvirt has no lease, is where SSH found it last, while it runs", () => {
  const targets = [{ name: "webapp", addresses: [anAddress("192.168.1.7"), anAddress("fd00::7")] }];
  const addresses = (vm: Partial<VmFound>) =>
    vmRows(anOutline(), aHost({ vms: [aVm(vm)] }), { inState: [], backups: undefined, targets })[0]?.addresses;
  expect(addresses({ addresses: [] })).toEqual(["192.168.1.7"]);
  expect(addresses({})).toEqual(["10.77.0.5"]);
  expect(addresses({ addresses: [], state: "shut off" })).toEqual([]);
  expect(addresses({ addresses: [], stack: "other" })).toEqual([]);
});

test("a VM that is only in the config is shown as it will be", () => {
  expect(rowsOf(anOutline(), aHost(), [])).toEqual([row({ state: "not made", disk: { size: 50 * GiB, used: 0 } })]);
});

test("one whose disk was kept will be on that disk", () => {
  const host = aHost({ disks: [{ ...keptDisk, name: "webapp" }] });
  expect(rowsOf(anOutline(), host, [])).toEqual([row({ state: "not made", disk: { size: 10 * GiB, used: GiB } })]);
});

test("one that the state has and the host has not is missing", () => {
  expect(rowsOf(anOutline(), aHost(), ["webapp"])).toEqual([
    row({ state: "missing", disk: { size: 50 * GiB, used: 0 } }),
  ]);
});

test("somebody else's VM of that name is told apart, and nothing is said of it", () => {
  const foreign = row({ state: "foreign", memory: null, cpus: null, disk: null });
  for (const stack of ["other", undefined]) {
    expect(rowsOf(anOutline(), aHost({ vms: [aVm({ stack })] }), [])).toEqual([foreign]);
  }
});

test("VMs that left the config and disks that were kept are in the list, others' VMs are not; all by name", () => {
  const host = aHost({
    vms: [aVm({ name: "gone" }), aVm({ name: "theirs", stack: "local" }), aVm({ name: "alpha" })],
    disks: [keptDisk],
  });
  const rows = rowsOf(anOutline({ webapp: aProject(), alpha: aProject() }), host, []);
  expect(rows.map(({ name, state, inConfig }) => [name, state, inConfig])).toEqual([
    ["alpha", "running", true],
    ["gone", "running", false],
    ["old", "kept disk", false],
    ["webapp", "not made", true],
  ]);
  expect(rows[2]).toEqual(
    row({
      name: "old",
      state: "kept disk",
      inConfig: false,
      memory: null,
      cpus: null,
      disk: { size: 10 * GiB, used: GiB },
    }),
  );
});

test("backups are told of where the config wants them, as far as they are known", () => {
  const backup = { every: "1d", keep: 7 } as const;
  const outline = anOutline({ webapp: aProject({ backup }), api: aProject() });
  const host = aHost({ vms: [aVm(), aVm({ name: "api" }), aVm({ name: "gone" })] });
  const now = new Date("2026-03-14T15:09:26Z");
  const found = { now, disks: new Map([["webapp", null]]), backups: new Map([["webapp", [now]]]) };
  const told = (backups?: BackupsFound) => rowsOf(outline, host, [], backups).map((row) => [row.name, row.backup]);
  const others = [
    ["api", null],
    ["gone", null],
  ];
  expect(told(found)).toEqual([...others, ["webapp", { every: "1d", newest: now, overdue: false }]]);
  expect(told()).toEqual([...others, ["webapp", { every: "1d", newest: null, overdue: null }]]);
  const theirs = aHost({ vms: [aVm({ stack: "other" })] });
  expect(rowsOf(outline, theirs, [], found).find(({ name }) => name === "webapp")?.backup).toBeNull();
});

test("a name that every object has is in the list as any other", () => {
  const host = aHost({
    vms: [aVm({ name: "constructor" })],
    disks: [
      { ...keptDisk, name: "valueof" },
      { ...keptDisk, name: "toString" },
    ],
  });
  const rows = rowsOf(anOutline({}), host, []);
  expect(rows.map(({ name, state, inConfig }) => [name, state, inConfig])).toEqual([
    ["constructor", "running", false],
    ["toString", "kept disk", false],
    ["valueof", "kept disk", false],
  ]);
});

test("a VM whose project disk was ejected, or whose drive is empty, has none in its row", () => {
  const [root] = aVm().disks;
  const drive = { target: "vdb", path: "", size: 0, used: 0 };
  const diskIn = (found: Partial<VmFound>) =>
    vmRows(anOutline(), aHost({ vms: [aVm(found)] }), { inState: [], backups: undefined, targets: [] })[0]?.disk;
  expect(diskIn({ disks: root ? [root] : [] })).toBeNull();
  expect(diskIn({ disks: root ? [root, drive] : [] })).toBeNull();
  // Of one that is named as a volume, libvirt tells no more while its VM is off.
  expect(diskIn({ disks: [drive], state: "shut off" })).toEqual({ size: 0, used: 0 });
});
