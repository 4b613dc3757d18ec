import { beforeEach, describe, expect, test, vi } from "vitest";
import type { OwnVm } from "../../../daily/find-vm.ts";
import { restartVm, startVm } from "../../../daily/power.ts";
import { makeWayForDomain, putByDomain } from "../../../vm/replace.ts";
import { requireNoRestore, unfinishedRestore } from "../../../vm/restore-mark.ts";
import { FakeVirsh } from "./fake-virsh.ts";

const mark = "project.qcow2.restoring.before-upgrade";
const refusal = [
  "The VM of webapp is not started.",
  "  - the project disk of webapp: must first be restored to its snapshot before-upgrade: that restore was cut off, or has not ended yet",
  "    restore it again: project-vm snapshot restore webapp before-upgrade",
].join("\n");

test.each([
  ["no mark", ["project.qcow2", "disk.qcow2", "seed.iso"], undefined],
  ["what an import left", ["project.qcow2", "project.qcow2.partial"], undefined],
  ["a mark without a disk", [mark], undefined],
  ["a mark that is not written yet", ["project.qcow2", "project.qcow2.restoring-new"], undefined],
  ["a mark", ["disk.qcow2", mark, "project.qcow2"], "before-upgrade"],
])("files with %s", (_, files, snapshot) => {
  const remedy = snapshot && `restore it again: project-vm snapshot restore webapp ${snapshot}`;
  expect(unfinishedRestore("webapp", files)?.remedy).toBe(remedy);
});

const virsh = new FakeVirsh();
vi.mock("../../../host/virsh.ts", async (original) => ({ ...(await original<object>()), virshFor: () => virsh }));

/** A VM that runs, with the mark of a restore beside its disk. */
beforeEach(() => {
  virsh.domains.set("project-webapp", { description: "project-vms stack storage", running: true, disks: [] });
  const files = ["project.qcow2", mark].map((name) => [name, { path: `/vms/webapp/${name}` }] as const);
  virsh.pools.set("project-webapp", new Map(files));
  virsh.changes.length = 0;
});

describe("while the mark of a restore stands", () => {
  test.each([
    ["defines no VM in place of another", makeWayForDomain],
    ["defines no VM that goes on", putByDomain],
  ])("an update %s", async (_, before) => {
    await expect(before(virsh, "webapp", { owner: "storage", storageDir: "/vms" }, () => {})).rejects.toThrow(refusal);
    expect(virsh.changes).toEqual([]);
  });

  test("a pool that was stopped hides it from nobody", async () => {
    virsh.stopped.add("project-webapp");
    await expect(requireNoRestore(virsh, "webapp")).rejects.toThrow(refusal);
  });

  test("a pool that is gone keeps no VM off", async () => {
    virsh.pools.clear();
    await requireNoRestore(virsh, "webapp");
  });
});

describe("a verb", () => {
  const vm = { name: "webapp", state: "shut off" };
  const own = { outline: { stack: "local", host: { uri: "fake:///" } }, vm } as unknown as OwnVm;

  test.each([
    ["start", () => startVm(own, false, () => {})],
    ["restart", () => restartVm(own, { wait: false }, () => {})],
  ])("`%s` starts nothing", async (_, verb) => {
    await expect(verb()).rejects.toThrow(refusal);
    expect(virsh.changes).toEqual([]);
  });
});
