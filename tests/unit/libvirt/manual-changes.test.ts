import { describe, expect, test, vi } from "vitest";
import type { DomainFound } from "../../../src/libvirt/inventory.ts";
import { manualChanges, refuseManualChanges } from "../../../src/libvirt/manual-changes.ts";
import { markStarting } from "../../../src/libvirt/marks.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { undefine } from "../../../src/lifecycle/replace.ts";
import { aDomain, devicesWith } from "../found.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";

const place = { uri: "qemu:///system", project: "webapp", stack: "storage" };
const changes = (found: Partial<DomainFound>) => manualChanges(aDomain(found), "/vms", place);

describe("a domain that runs without being defined", () => {
  const refusal = [
    "  - project-webapp: must be defined on its host, but only runs there (virsh undefine): it is gone when it stops",
    "    have it defined again, as it runs: project-vm doctor --fix --stack storage",
  ].join("\n");

  test("is reported, and nothing is done to it", () => {
    expect(() => refuseManualChanges("webapp", changes({ isTransient: true }))).toThrow(refusal);
  });

  test("has no place for what is noted of it, and a verb that would note something says so", async () => {
    const virsh = new FakeVirsh();
    virsh.domains.set("project-webapp", { description: "", running: true, disks: [] });
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args[0] !== "metadata") return real(...args);
      const reason = "Operation not supported: transient domains do not have any persistent config";
      throw new VirshError("fake", args, 1, reason);
    });
    await expect(markStarting(virsh, "project-webapp", true)).rejects.toThrow(refusal.replace(" --stack storage", ""));
  });

  test("is removed like any other: when it has stopped, there is nothing left to undefine", async () => {
    await undefine(new FakeVirsh(), "project-webapp");
  });
});

describe("a domain whose disks are not ours", () => {
  const ours = "/vms/webapp/project.qcow2";
  const overlay = devicesWith({ vdb: "/vms/webapp/project.s1" }, [ours]);
  const virsh = "virsh -c 'qemu:///system'";
  const commit = `${virsh} blockcommit project-webapp vdb --active --pivot --verbose --base '${ours}'`;
  const forget = `${virsh} snapshot-delete project-webapp <name> --metadata`;
  const back = `put ${ours} back in its place: ${virsh} edit project-webapp`;

  /** Without vdb, and with a disk on another bus, as virt-manager changes it. */
  const onOtherBus = (source: string, chain: string[] = [], target = "sda") => {
    const { disks, ...rest } = devicesWith();
    const other = { target, source, format: "qcow2", chain };
    return { ...rest, disks: [...disks.filter((disk) => !["vdb", target].includes(disk.target)), other] };
  };

  test("is reported in full: domain, disk, file and remedy", () => {
    expect(() => refuseManualChanges("webapp", changes({ devices: [overlay] }))).toThrow(
      [
        "webapp was changed by other means than this program, and nothing more is done to it.",
        `  - project-webapp: must have ${ours} as vdb, but has /vms/webapp/project.s1`,
        `    write it back into ours: ${commit}; then forget the snapshot: ${forget}`,
      ].join("\n"),
    );
  });

  test("is to be started first where it is off: only what runs can be written back", () => {
    const devices = [devicesWith({ vdb: "/vms/webapp/project.s1" })];
    expect(changes({ devices, state: "shut off" })[0]?.remedy).toBe(
      `start it: project-vm start webapp --stack storage; then write it back into ours: ${commit}; then forget the snapshot: ${forget}; if it is no overlay of a snapshot, ${back}`,
    );
  });

  test("is not to write another file's contents into ours", () => {
    const devices = [devicesWith({ vdb: "/srv/other.qcow2" }, ["/srv/base.qcow2"])];
    expect(changes({ devices })[0]?.remedy).toBe(`if what is in that file is not needed, ${back}`);
  });

  test("never writes a root's overlay further down than its own root disk, into the image of all others", () => {
    const chain = ["/vms/webapp/disk.qcow2", "/vms/base/debian.qcow2"];
    const devices = [devicesWith({ vda: "/vms/webapp/disk.s1" }, chain)];
    expect(changes({ devices })[0]?.remedy).toContain("vda --active --pivot --verbose --base '/vms/webapp/disk.qcow2'");
  });

  test.each<[string, DomainFound["devices"], string[]]>([
    ["as it runs and as it is defined", [overlay, overlay], ["vdb"]],
    ["only as it is defined", [devicesWith(), overlay], ["vdb"]],
    ["both its disks", [devicesWith({ vda: "/a", vdb: "/b" })], ["vda", "vdb"]],
    ["none", [devicesWith(), devicesWith({ vdc: "/elsewhere/seed.iso", vdd: "/srv/more.img" })], []],
    ["none, named by pool and volume", [devicesWith({ vdb: "project-webapp/project.qcow2" })], []],
    ["none, named with more slashes", [devicesWith({ vdb: "/vms//webapp/project.qcow2" })], []],
    ["not known", undefined, []],
    ["on another bus, as an overlay", [onOtherBus("/vms/webapp/project.s1")], ["sda"]],
    [
      "on another bus, as an overlay somewhere else, while it runs",
      [devicesWith(), onOtherBus("/snapshots/s1")],
      ["sda"],
    ],
    ["on another bus, as what stands on ours while it runs", [onOtherBus("/s1", [ours]), devicesWith()], ["sda"]],
    ["none, ours on another bus", [onOtherBus(ours)], []],
    ["none, ours under another name beside another one", [devicesWith({ vdb: "/srv/more.img", vdd: ours })], []],
    ["ours under another name beside its overlay", [devicesWith({ vdb: "/s1", vdd: ours }, [ours])], ["vdb"]],
    ["in the seed's place, as an overlay", [onOtherBus("/vms/webapp/project.s1", [], "vdc")], ["vdc"]],
    ["none, its seed under another name", [onOtherBus("/vms/webapp/seed.iso", [], "vde")], []],
    ["none, ejected by its guest beside another one", [onOtherBus("/srv/more.qcow2"), devicesWith()], []],
  ])("is reported once for each disk: %s", (_, devices, disks) => {
    const rules = changes(devices ? { devices } : {}).map(({ rule }) => / as (\w+), /.exec(rule)?.[1]);
    expect(rules).toEqual(disks);
  });
});
