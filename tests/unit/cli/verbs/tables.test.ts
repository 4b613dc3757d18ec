import { afterEach, expect, test, vi } from "vitest";
import { printFacts, printList } from "../../../../cli/print.ts";
import { describeFinding } from "../../../../cli/verbs/doctor.ts";
import { columnsFor } from "../../../../cli/verbs/list.ts";
import { factsOf } from "../../../../cli/verbs/status.ts";
import { formatSize, GiB } from "../../../../src/core/sizes.ts";
import { failure, ok, warning } from "../../../../src/operations/doctor/finding.ts";
import type { VmRow } from "../../../../src/operations/rows.ts";
import { vmStatus } from "../../../../src/operations/status.ts";
import { anOutline, aVm } from "../../operations/samples.ts";

afterEach(() => void vi.restoreAllMocks());

/** What is printed for people, where nobody sees colours. */
function printed(print: () => void): string[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  print();
  return log.mock.calls.flatMap(([text]) => String(text).split("\n"));
}

test("a list of VMs tells at a glance which of them is not as its config has it", () => {
  const row: VmRow = {
    ...{ stack: "storage", name: "webapp", state: "running", inConfig: true, memory: 8 * GiB, cpus: 4 },
    ...{ disk: { size: 50 * GiB, used: 6.75 * GiB }, addresses: ["10.77.0.5", "fd00::5"], backup: null },
  };
  const rows: VmRow[] = [
    { ...row, name: "api", state: "shut off", inConfig: false, addresses: [] },
    { ...row, name: "db", state: "foreign", memory: null, cpus: null, disk: null, addresses: [] },
    { ...row, name: "old", state: "kept disk", inConfig: false, memory: null, cpus: null, addresses: [] },
    { ...row, name: "out", disk: null },
    row,
  ];
  expect(printed(() => printList(rows, columnsFor(rows), {}))).toEqual([
    "NAME    STATE                        MEMORY  CPUS  DISK USED  DISK SIZE  ADDRESS",
    "api     shut off, not in the config  8 GiB   4     6.75 GiB   50 GiB",
    "db      foreign",
    "old     kept disk                                  6.75 GiB   50 GiB",
    "out     running                      8 GiB   4                NONE       10.77.0.5",
    "webapp  running                      8 GiB   4     6.75 GiB   50 GiB     10.77.0.5",
  ]);
});

const made = new Date("2026-03-14T15:09:26Z");
const backups: [VmRow["backup"], string, string][] = [
  [
    { every: "1d", newest: made, overdue: false },
    "2026-03-14 15:09:26Z",
    "every 1d; the newest is of 2026-03-14 15:09:26Z",
  ],
  [{ every: "1d", newest: null, overdue: false }, "none", "every 1d; there is none"],
  [
    { every: "1d", newest: made, overdue: true },
    "OVERDUE: 2026-03-14 15:09:26Z",
    "OVERDUE: every 1d, but the newest is of 2026-03-14 15:09:26Z",
  ],
  [{ every: "1d", newest: null, overdue: true }, "OVERDUE: none", "OVERDUE: every 1d, but there is none"],
  [{ every: "1d", newest: null, overdue: null }, "not known", "every 1d; whether there is one is not known"],
];

test("where backups are wanted, a list and a status tell which are overdue", () => {
  const row = { stack: "storage", state: "running", inConfig: true, memory: null, cpus: null, disk: null } as const;
  const rows: VmRow[] = backups.map(([backup], i) => ({ ...row, name: `vm${i}`, addresses: [], backup }));
  const [header, ...lines] = printed(() => printList(rows, columnsFor(rows), {}));
  expect(header).toMatch(/ {2}NEWEST BACKUP$/);
  expect(lines.map((line) => line.replace(/^vm\d +running +NONE +/, ""))).toEqual(backups.map(([, cell]) => cell));
  const status = vmStatus({ outline: anOutline(), vm: aVm() }, nothing);
  expect(backups.map(([backup]) => textOf(factsOf({ ...status, backup }, formatSize).backup))).toEqual(
    backups.map(([, , fact]) => fact),
  );
});

const nothing = { output: undefined, targets: [], sshConfig: "/c", image: undefined, backups: undefined };
const textOf = (fact: string | { text: string } | undefined) => (typeof fact === "object" ? fact.text : fact);

test("the status of a VM is a line for each thing that is known", () => {
  const output = {
    tailnetName: "project-webapp.tail1234.ts.net",
    secondsToReady: 42.5,
    stages: { docker: 2, boot: 30 },
  };
  const known = { output, targets: [], sshConfig: "/c/config", image: "debian-testing-0123456789ab.qcow2" };
  const status = vmStatus({ outline: anOutline(), vm: aVm() }, known as unknown as Parameters<typeof vmStatus>[1]);
  expect(printed(() => printFacts(status, factsOf(status, formatSize), {}))).toEqual([
    "project          webapp",
    "stack            storage",
    "state            running",
    "memory           8 GiB",
    "cpus             4",
    "addresses        10.77.0.5",
    "tailnet name     project-webapp.tail1234.ts.net",
    "root disk        2 GiB used of 20 GiB  /vms/webapp/disk.qcow2",
    "project disk     3 GiB used of 50 GiB  /vms/webapp/project.qcow2",
    "image            debian-testing-0123456789ab.qcow2",
    "was ready after  42.5 s: boot 30 s, docker 2 s",
    "log in           ssh -F /c/config project-webapp",
  ]);
});

test("a finding of the doctor is a line, with its remedy below it until it is mended", () => {
  const plain = (text: string) => text;
  const stopped = failure("network", "it is stopped", "virsh net-start it", async () => undefined);
  const findings = [
    ok("libvirt", "it answers"),
    warning("memory", "12 GiB promised of 8 GiB", "give them less"),
    stopped,
    { ...stopped, fix: "fixed" as const },
  ];
  expect(findings.map((finding) => describeFinding(finding, plain))).toEqual([
    "ok       libvirt: it answers",
    "warning  memory: 12 GiB promised of 8 GiB\n         give them less",
    "failure  network: it is stopped\n         --fix, or: virsh net-start it",
    "fixed    network: it is stopped",
  ]);
});
