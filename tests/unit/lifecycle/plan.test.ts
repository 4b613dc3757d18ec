import { describe, expect, test } from "vitest";
import type { ProjectSettings } from "../../../src/config/settings.ts";
import { sentence } from "../../../src/core/records.ts";
import { GiB, MiB } from "../../../src/core/sizes.ts";
import type { PoolFound } from "../../../src/libvirt/inventory.ts";
import { ownDevices } from "../../../src/libvirt/manual-changes.ts";
import { rootDigest } from "../../../src/lifecycle/definition.ts";
import { describePlan, findProject, type ProjectFound, planVm, type VmWanted } from "../../../src/lifecycle/plan.ts";
import { aDomain, anInventory, aPool, aVolume, devicesWith } from "../found.ts";
import { aNode } from "../guest/samples.ts";

const settings: ProjectSettings = {
  memory: 8 * GiB,
  cpus: 4,
  firmware: "bios",
  disk: 50 * GiB,
  rootDisk: 20 * GiB,
  autostart: false,
  keepData: true,
};
const wanted: VmWanted = {
  name: "webapp",
  settings,
  network: { kind: "existing", name: "project-vms" },
  virtualization: "kvm",
  definition: "new",
};
const domain = aDomain({ marks: { definition: "new", root: rootDigest({}), keepData: true } });
const redefined = aDomain({ marks: { definition: "old", root: rootDigest({}), keepData: true } });
const rootDisk = aVolume({ name: "disk.qcow2", path: "/vms/webapp/disk.qcow2", capacity: 20 * GiB });
const there: ProjectFound = { domain, rootDisk, projectDisk: aVolume(), network: undefined };
const nothing: ProjectFound = { domain: undefined, rootDisk: undefined, projectDisk: undefined, network: undefined };

const byHand = {
  disks: [...devicesWith().disks, { target: "vdd", source: "/srv/data.img", format: "raw", chain: [] }],
  nics: [...devicesWith().nics, { mac: "52:54:00:aa:bb:cc", type: "network", on: "lan" }],
  others: ["hostdev"],
};

const displaced = {
  ...devicesWith({ vdb: "/srv/b.img", vdc: "/srv/data.qcow2", sda: "/vms/webapp/project.qcow2", vdd: "" }),
};

/** The line that is shown for what is found and what is asked for. */
const withoutDisk = (target: string) => {
  const { disks, ...rest } = devicesWith();
  return { ...rest, disks: disks.filter((disk) => disk.target !== target) };
};

function line(found: Partial<ProjectFound>, asked: Partial<ProjectSettings> = {}, rest: Partial<VmWanted> = {}) {
  const all = { ...wanted, ...rest, settings: { ...settings, ...asked } };
  const whole = { ...there, ...found };
  const change = describePlan(whole, all, planVm(whole, all));
  return change && sentence(change);
}

describe("what is said of an update's effect on a VM, its root and its data", () => {
  test.each<[string, Partial<ProjectFound>, Partial<ProjectSettings>, Partial<VmWanted>, string | undefined]>([
    ["nothing new", {}, {}, {}, undefined],
    ["a network filter that it lacks", {}, {}, { filter: true }, "webapp: no restart, network filter added, data kept"],
    ["a new entry", nothing, {}, {}, "webapp: new VM, new project disk of 50 GiB"],
    [
      "an entry that comes back",
      { ...nothing, projectDisk: aVolume() },
      {},
      {},
      "webapp: new VM, adopts its kept project disk (50 GiB, 3 GiB used), data kept",
    ],
    [
      "an entry that comes back, with a bigger disk",
      { ...nothing, projectDisk: aVolume() },
      { disk: 60 * GiB },
      {},
      "webapp: new VM, adopts its kept project disk (50 GiB, 3 GiB used), project disk grows from 50 GiB to 60 GiB, data kept",
    ],
    [
      "an entry that comes back, with a smaller disk",
      { ...nothing, projectDisk: aVolume() },
      { disk: 40 * GiB },
      {},
      "webapp: new VM, adopts its kept project disk (50 GiB, 3 GiB used), which stays bigger than the 40 GiB asked for, data kept",
    ],
    ["a disk that was adopted bigger than asked for", {}, { disk: 40 * GiB }, {}, undefined],
    [
      "more memory",
      { domain: redefined },
      { memory: 16 * GiB },
      {},
      "webapp: restart (memory 8 GiB to 16 GiB), data kept",
    ],
    [
      "more of both, while it is shut off",
      { domain: { ...redefined, state: "shut off" } },
      { memory: 1536 * MiB, cpus: 8 },
      {},
      "webapp: stays shut off (memory 8 GiB to 1.5 GiB, cpus 4 to 8), data kept",
    ],
    [
      "what an update that was cut off had shut down for it",
      { domain: { ...redefined, state: "shut off", marks: { ...redefined.marks, starting: true } } },
      { cpus: 8 },
      {},
      "webapp: restart (cpus 4 to 8), data kept",
    ],
    [
      "what a restart that was cut off had shut down",
      { domain: { ...domain, state: "shut off", marks: { ...domain.marks, starting: true } } },
      {},
      {},
      "webapp: started again, data kept",
    ],
    [
      "more memory, while it has devices that were added by hand",
      { domain: { ...redefined, devices: [devicesWith(), byHand] } },
      { memory: 16 * GiB },
      { devices: ownDevices("/vms", "webapp") },
      "webapp: restart (memory 8 GiB to 16 GiB), DROPS what was added by hand: disk vdd (/srv/data.img, the file stays), interface 52:54:00:aa:bb:cc on lan, hostdev, data kept",
    ],
    [
      "more memory, without any",
      { domain: { ...redefined, devices: [devicesWith({ vdc: "/vms/webapp/seed.iso" })] } },
      { memory: 16 * GiB },
      { devices: ownDevices("/vms", "webapp") },
      "webapp: restart (memory 8 GiB to 16 GiB), data kept",
    ],
    [
      "more memory, while others' disks have the places of ours, which it has elsewhere or no more",
      { domain: { ...redefined, devices: [displaced] } },
      { memory: 16 * GiB },
      { devices: ownDevices("/vms", "webapp") },
      "webapp: restart (memory 8 GiB to 16 GiB), DROPS what was added by hand: disk vdb (/srv/b.img, the file stays), disk vdc (/srv/data.qcow2, the file stays), disk sda (/vms/webapp/project.qcow2, the file stays), disk vdd, data kept",
    ],
    [
      "more memory, while a transform may have made some of them",
      { domain: { ...redefined, devices: [{ ...byHand, others: ["hostdev", "tpm"] }] } },
      { memory: 16 * GiB },
      {
        devices: {
          ...ownDevices("/vms", "webapp"),
          transformed: { says: (word) => word === "/srv/data.img", makes: (element) => (element === "tpm" ? 1 : 0) },
        },
      },
      "webapp: restart (memory 8 GiB to 16 GiB), may DROP what was added by hand, if its transform does not make it: interface 52:54:00:aa:bb:cc on lan, hostdev, data kept",
    ],
    [
      "more memory, while a transform makes some of the same kinds",
      {
        domain: {
          ...redefined,
          devices: [{ ...devicesWith(), others: ["hostdev", "hostdev", "tpm", "channel a", "channel b"] }],
        },
      },
      { memory: 16 * GiB },
      {
        devices: {
          ...ownDevices("/vms", "webapp"),
          transformed: { says: (word) => word === "b", makes: () => 1 },
        },
      },
      "webapp: restart (memory 8 GiB to 16 GiB), may DROP what was added by hand, if its transform does not make it: hostdev, channel a, data kept",
    ],
    [
      "a bigger disk, which drops none of them",
      { domain: { ...domain, devices: [byHand] } },
      { disk: 100 * GiB },
      { devices: ownDevices("/vms", "webapp") },
      "webapp: no restart, project disk grows from 50 GiB to 100 GiB, data kept",
    ],
    ["what its user has shut off", { domain: { ...domain, state: "shut off" } }, {}, {}, undefined],
    [
      "another network",
      { domain: redefined },
      {},
      { network: { kind: "existing", name: "lan" } },
      "webapp: restart (network project-vms to lan), data kept",
    ],
    [
      "other addresses of its network",
      { domain: redefined },
      {},
      { network: { kind: "managed", name: "project-vms", cidr: "10.78.0.0/24" } },
      "webapp: restart (network's addresses to 10.78.0.0/24), data kept",
    ],
    [
      "a host that has KVM now",
      { domain: { ...redefined, type: "qemu" } },
      {},
      {},
      "webapp: restart (virtualization emulated to kvm), data kept",
    ],
    [
      "something that has no name of its own",
      { domain: redefined },
      {},
      {},
      "webapp: restart (its definition changed), data kept",
    ],
    [
      "a bigger disk",
      {},
      { disk: 100 * GiB },
      {},
      "webapp: no restart, project disk grows from 50 GiB to 100 GiB, data kept",
    ],
    [
      "a bigger root",
      {},
      { rootDisk: 40 * GiB },
      {},
      "webapp: no restart, root disk grows from 20 GiB to 40 GiB, data kept",
    ],
    ["a root recreated", {}, { rebuild: "x" }, {}, "webapp: restart, root disk recreated, data kept"],
    [
      "an image of its own, while it is shut off",
      { domain: { ...domain, state: "shut off" } },
      { image: { kind: "build" } },
      {},
      "webapp: stays shut off, root disk recreated, data kept",
    ],
    [
      "a root recreated, with more memory and more disk",
      { domain: redefined },
      { rebuild: "x", memory: 16 * GiB, disk: 60 * GiB },
      {},
      "webapp: restart (memory 8 GiB to 16 GiB), root disk recreated, project disk grows from 50 GiB to 60 GiB, data kept",
    ],
    [
      "a root disk that was removed from the host",
      { rootDisk: undefined, lost: ["disk.qcow2"] },
      {},
      {},
      "webapp: restart, root disk recreated: its file is gone from the host, data kept",
    ],
    [
      "that and its seed, of a VM that is shut off",
      { domain: { ...domain, state: "shut off" }, rootDisk: undefined, lost: ["disk.qcow2", "seed.iso"] },
      {},
      {},
      "webapp: stays shut off, root disk recreated: its file is gone from the host, data kept",
    ],
    [
      "a root that is rebuilt, and was removed",
      { rootDisk: undefined, lost: ["disk.qcow2"] },
      { rebuild: "x" },
      {},
      "webapp: restart, root disk recreated, data kept",
    ],
    [
      "an interface that others detached",
      { domain: { ...domain, network: undefined, devices: [{ ...devicesWith(), nics: [] }] } as never },
      {},
      {},
      "webapp: restart (network none to project-vms), data kept",
    ],
    [
      "a project disk that others detached",
      { domain: { ...domain, devices: [withoutDisk("vdb")] } },
      {},
      {},
      "webapp: restart (project disk attached again), data kept",
    ],
    [
      "a root disk that others detached while it runs, and a changed memory",
      { domain: { ...redefined, devices: [devicesWith(), withoutDisk("vda")] } },
      { memory: 16 * GiB },
      {},
      "webapp: restart (memory 8 GiB to 16 GiB, root disk attached again), data kept",
    ],
    [
      "a disk that its guest ejected",
      { domain: { ...domain, devices: [withoutDisk("vdb"), devicesWith()] } },
      {},
      {},
      undefined,
    ],
    [
      "an interface that its guest ejected",
      { domain: { ...domain, devices: [{ ...devicesWith(), nics: [] }, devicesWith()] } },
      {},
      {},
      undefined,
    ],
    [
      "a seed that was removed from the host",
      { lost: ["seed.iso"] },
      {},
      {},
      "webapp: no restart, seed recreated: its file is gone from the host, data kept",
    ],
    [
      "a new entry on a kept disk",
      { ...nothing, projectDisk: aVolume(), lost: ["disk.qcow2", "seed.iso"] },
      {},
      {},
      "webapp: new VM, adopts its kept project disk (50 GiB, 3 GiB used), data kept",
    ],
    [
      "an entry whose domain others undefined, on the root that it had",
      { domain: undefined },
      { rebuild: "once more" },
      {},
      "webapp: new VM, adopts its kept project disk (50 GiB, 3 GiB used), on the root disk that is there, data kept",
    ],
    ["firmware", { domain: redefined }, { firmware: "uefi" }, {}, "webapp: restart (firmware bios to uefi), data kept"],
    ["autostart", {}, { autostart: true }, {}, "webapp: no restart, autostart on, data kept"],
    [
      "data that is to go with the VM",
      {},
      { keepData: false },
      {},
      "webapp: no restart, keepData true to false, data kept",
    ],
    [
      "a tailnet to join",
      {},
      {},
      { tailnet: "tail1234.ts.net" },
      "webapp: no restart, joins the tailnet tail1234.ts.net, data kept",
    ],
    [
      "a tailnet that it is in",
      { domain: { ...domain, marks: { ...domain.marks, tailnet: aNode(1) } } },
      {},
      { tailnet: "tail1234.ts.net" },
      undefined,
    ],
    [
      "a tailnet to leave",
      { domain: { ...domain, marks: { ...domain.marks, tailnet: aNode(1) } } },
      {},
      {},
      "webapp: no restart, leaves its tailnet, data kept",
    ],
    [
      "a project disk that was lost",
      { projectDisk: undefined },
      {},
      {},
      "webapp: no restart, new project disk of 50 GiB",
    ],
  ])("%s", (_, found, asked, rest, expected) => expect(line(found, asked, rest)).toBe(expected));

  test("a VM of a version that noted nothing in it is redefined, and its root is kept", () => {
    const found = { ...there, domain: aDomain({ marks: {} }) };
    expect(planVm(found, wanted)).toEqual({
      domain: "redefined",
      reasons: ["its definition changed"],
      runs: true,
      root: "kept",
      data: "kept",
    });
  });

  test("a text for `rebuild` that stays the same makes no root again, taking it out does", () => {
    const found = { ...there, domain: aDomain({ marks: { definition: "new", root: rootDigest({ rebuild: "x" }) } }) };
    expect(planVm(found, { ...wanted, settings: { ...settings, rebuild: "x" } }).root).toBe("kept");
    expect(planVm(found, wanted).root).toBe("rebuilt");
  });
});

describe("a volume counts as gone", () => {
  const seed = aVolume({ name: "seed.iso", path: "/vms/webapp/seed.iso" });
  test.each<[string, Partial<PoolFound>, string[]]>([
    ["when the others of its pool are seen", { volumes: [aVolume(), seed] }, ["disk.qcow2"]],
    ["which both may be", { volumes: [aVolume()] }, ["disk.qcow2", "seed.iso"]],
    ["not when it is there", { volumes: [aVolume(), rootDisk, seed] }, []],
    ["not when it is listed and cannot be read", { volumes: [aVolume(), seed], unread: ["disk.qcow2"] }, []],
    ["not when the project disk is not seen either: the storage may be away", { volumes: [seed] }, []],
    ["not in a pool that is stopped", { active: false, volumes: [] }, []],
    ["not in a pool of another folder", { path: "/srv", volumes: [aVolume({ path: "/srv/project.qcow2" })] }, []],
  ])("%s", (_, pool, gone) => {
    const inventory = anInventory({ domains: [domain], pools: [aPool(pool)] });
    expect(findProject(inventory, "/vms", "webapp").lost).toEqual(gone);
  });

  test("not without a pool", () => expect(findProject(anInventory(), "/vms", "webapp").lost).toEqual([]));
});
