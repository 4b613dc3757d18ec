import { beforeEach, describe, expect, test, vi } from "vitest";
import { requireNoRestore, unfinishedRestore } from "../../../src/libvirt/restore-mark.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { makeWayForDomain, suspendDomain } from "../../../src/lifecycle/replace.ts";
import type { OwnVm } from "../../../src/operations/find-vm.ts";
import { restartVm, startVm } from "../../../src/operations/start-and-stop.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";

const mark = "project.qcow2.restoring.before-upgrade";
const refusal = [
  "The VM of webapp is not started.",
  "  - the project disk of webapp: must first be restored to its snapshot before-upgrade: that restore was cut off, or has not ended yet",
  "    restore it again: project-vm snapshot restore webapp before-upgrade (it names another way, should that snapshot be gone)",
].join("\n");

test.each([
  ["no mark", ["project.qcow2", "disk.qcow2", "seed.iso"], undefined],
  ["what an import left", ["project.qcow2", "project.qcow2.partial"], undefined],
  ["a mark without a disk", [mark], undefined],
  ["a mark that is not written yet", ["project.qcow2", "project.qcow2.restoring-new"], undefined],
  ["a mark", ["disk.qcow2", mark, "project.qcow2"], "before-upgrade"],
])("files with %s", (_, files, snapshot) => {
  const remedy =
    snapshot &&
    `restore it again: project-vm snapshot restore webapp ${snapshot} (it names another way, should that snapshot be gone)`;
  expect(unfinishedRestore("webapp", files)?.remedy).toBe(remedy);
});

const virsh = new FakeVirsh();
vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  virshFor: () => virsh,
}));

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
    ["defines no VM that goes on", suspendDomain],
  ])("an update %s", async (_, before) => {
    await expect(before(virsh, "webapp", { owner: "storage", storageDir: "/vms" }, () => {})).rejects.toThrow(refusal);
    expect(virsh.changes).toEqual([]);
  });

  test("a pool that was stopped hides it from nobody", async () => {
    virsh.stopped.add("project-webapp");
    await expect(requireNoRestore(virsh, "webapp")).rejects.toThrow(refusal);
  });
});

describe("where its pool does not show whether the mark of a restore stands", () => {
  const unseen = (why: string, remedy = "define it again: project-vm doctor --fix") =>
    [
      "The VM of webapp is not started.",
      `  - the pool project-webapp: must show whether a restore of the project disk of webapp was cut off, but ${why}`,
      `    ${remedy}`,
    ].join("\n");
  const place = { owner: "storage", storageDir: "/vms" };

  test("since it is gone, the VM stays off", async () => {
    virsh.pools.clear();
    await expect(requireNoRestore(virsh, "webapp")).rejects.toThrow(unseen("is not on qemu:///system any more"));
    await expect(makeWayForDomain(virsh, "webapp", place, () => {})).rejects.toThrow("must show whether");
    expect(virsh.changes).toEqual([]);
  });

  test("since it is stopped and does not start, the VM stays off", async () => {
    virsh.stopped.add("project-webapp");
    const real = FakeVirsh.prototype.run.bind(virsh);
    const run = vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args[0] === "pool-start") throw new VirshError("fake", args, 1, "no such folder");
      return real(...args);
    });
    await expect(requireNoRestore(virsh, "webapp")).rejects.toThrow(
      unseen(
        "does not start (no such folder)",
        "mend that, then start it: virsh -c 'qemu:///system' pool-start project-webapp",
      ),
    );
    run.mockRestore();
    virsh.stopped.clear();
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
