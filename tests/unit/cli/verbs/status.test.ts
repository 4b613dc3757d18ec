import { describe, expect, test } from "vitest";
import type { ProjectOutput } from "../../../../src/checkout/outputs.ts";
import type { VmFound } from "../../../../src/operations/look-at-vms.ts";
import { type KnownOf, vmStatus } from "../../../../src/operations/status.ts";
import { anAddress } from "../../guest/samples.ts";
import { anOutline, aProject, aVm } from "../../operations/samples.ts";

const output = {
  tailnetName: "project-webapp.tail1234.ts.net",
  image: "debian-testing-0123456789ab.qcow2",
  secondsToReady: 42.5,
  stages: { "cloud-init": 3, docker: 2, boot: 30 },
} as unknown as ProjectOutput;
const nothing: KnownOf = {
  output: undefined,
  targets: [],
  sshConfig: "/c/config",
  image: undefined,
  backups: undefined,
};

test("a VM is shown with what its host, its state and its SSH files know", () => {
  const known = { ...nothing, output, image: "debian-testing-new.qcow2" };
  const { disks, ...rest } = vmStatus({ outline: anOutline(), vm: aVm() }, known);
  expect(disks.root?.path).toBe("/vms/webapp/disk.qcow2");
  expect(disks.project?.path).toBe("/vms/webapp/project.qcow2");
  expect(rest).toEqual({
    stack: "storage",
    name: "webapp",
    state: "running",
    inConfig: true,
    memory: aVm().memory,
    cpus: 4,
    addresses: ["10.77.0.5"],
    backup: null,
    ssh: "ssh -F /c/config project-webapp",
    tailnetName: "project-webapp.tail1234.ts.net",
    problems: [],
    image: "debian-testing-new.qcow2",
    secondsToReady: 42.5,
    stages: { boot: 30, "cloud-init": 3, docker: 2 },
  });
});

test("the command that logs in can be pasted, whatever folder the checkout is in", () => {
  const known = { ...nothing, sshConfig: "/my work/it's $HOME/config" };
  const { ssh } = vmStatus({ outline: anOutline(), vm: aVm() }, known);
  expect(ssh).toBe(`ssh -F '/my work/it'\\''s $HOME/config' project-webapp`);
});

test("stages are in the order in which they pass, which the state does not keep", () => {
  const { stages } = vmStatus({ outline: anOutline(), vm: aVm() }, { ...nothing, output });
  expect(Object.keys(stages)).toEqual(["boot", "cloud-init", "docker"]);
});

test("what nobody knows is null, not left out", () => {
  const vm = aVm({ addresses: [], disks: [] });
  expect(vmStatus({ outline: anOutline({ api: aProject() }), vm }, nothing)).toMatchObject({
    inConfig: false,
    addresses: [],
    tailnetName: null,
    disks: { root: null, project: null },
    image: null,
    secondsToReady: null,
    stages: {},
  });
});

test("on a network without leases the address is the one that SSH goes to; one that is off has none", () => {
  const known = { ...nothing, targets: [{ name: "webapp", addresses: [anAddress("192.168.1.9")] }] };
  expect(vmStatus({ outline: anOutline(), vm: aVm({ addresses: [] }) }, known).addresses).toEqual(["192.168.1.9"]);
  expect(vmStatus({ outline: anOutline(), vm: aVm({ state: "shut off" }) }, known).addresses).toEqual([]);
});

test("backups are told of where the config wants them", () => {
  const now = new Date("2026-03-14T15:09:26Z");
  const outline = anOutline({ webapp: aProject({ backup: { every: "1d", keep: 7 } }) });
  const backups = { now, disks: new Map([["webapp", null]]), backups: new Map() };
  const backup = (known: KnownOf) => vmStatus({ outline, vm: aVm() }, known).backup;
  expect(backup({ ...nothing, backups })).toEqual({ every: "1d", newest: null, overdue: true });
  expect(backup(nothing)).toEqual({ every: "1d", newest: null, overdue: null });
});

test("a VM whose name every object has is in the config only where it is written there", () => {
  const vm = aVm({ name: "constructor" });
  expect(vmStatus({ outline: anOutline(), vm }, nothing)).toMatchObject({ inConfig: false, backup: null });
  const outline = anOutline({ constructor: aProject() });
  expect(vmStatus({ outline, vm }, nothing).inConfig).toBe(true);
});

test("a VM whose disks are under other names is shown with them, whatever is in their places", () => {
  const disk = (target: string, path: string) => ({ target, path, size: 50, used: 3 });
  const [more, root, project] = [
    disk("vdb", "/srv/more.img"),
    disk("vdc", "/vms/webapp/disk.qcow2"),
    disk("vdd", "/vms/webapp/project.qcow2"),
  ];
  const { disks } = vmStatus({ outline: anOutline(), vm: aVm({ disks: [more, root, project] }) }, nothing);
  expect(disks).toEqual({ root, project });
});

test("a VM on an overlay over its disk is shown with that disk, and what is to be done", () => {
  const overlay = { target: "vdb", path: "/vms/webapp/project.s1", size: 50, used: 3 };
  const root = { target: "vda", path: "/vms/webapp/disk.qcow2", size: 20, used: 2 };
  const { disks, problems } = vmStatus({ outline: anOutline(), vm: aVm({ disks: [root, overlay] }) }, nothing);
  expect(disks.project).toEqual(overlay);
  expect(problems).toEqual([
    expect.stringMatching(
      /^project-webapp: must have \/vms\/webapp\/project.qcow2 as vdb, but has \/vms\/webapp\/project.s1; write it back .* blockcommit /,
    ),
  ]);
});

test.each([
  ["vda", "vdb"],
  ["sda", "sdb"],
])("of a VM that is off, whose disks are volumes (%s, %s), it is not said that it lacks them", (...targets) => {
  const disks = targets.map((target) => ({ target, path: "", size: 50, used: 3 }));
  const { problems } = vmStatus({ outline: anOutline(), vm: aVm({ disks, state: "shut off" }) }, nothing);
  expect(problems).toEqual([]);
});

test("a VM that runs though its libvirt takes it for off has that among its problems", () => {
  const unknown = [{ path: "project-webapp", rule: "must be known", remedy: "end it" }];
  const { problems } = vmStatus({ outline: anOutline(), vm: aVm({ state: "shut off" }) }, { ...nothing, unknown });
  expect(problems).toEqual(["project-webapp: must be known; end it"]);
});

describe("a VM that has no project disk", () => {
  const [root] = aVm().disks;
  const drive = { target: "vdb", path: "", size: 0, used: 0 };
  const seen = (found: Partial<VmFound>) => {
    const { disks, problems } = vmStatus({ outline: anOutline(), vm: aVm(found) }, nothing);
    return { project: disks.project, problems };
  };
  const rootDisk = root ? [root] : [];
  const ejected =
    "project-webapp: must use /vms/webapp/project.qcow2 as vdb, but has nothing there: its guest ejected it, or it was detached by other means; have it back by its next start: project-vm restart webapp --stack storage";

  test("because its guest ejected it is told so", () => {
    expect(seen({ disks: rootDisk })).toEqual({ project: null, problems: [ejected] });
    expect(seen({ disks: rootDisk, state: "paused" }).problems).toEqual([ejected]);
  });

  test("nor any other, because its guest ejected all, is told of each that holds something", () => {
    expect(seen({ disks: [] }).problems).toEqual([expect.stringContaining("disk.qcow2 as vda"), ejected]);
  });

  test("because others detached it is told so while it is off", () => {
    expect(seen({ disks: rootDisk, state: "shut off" }).problems).toEqual([
      "project-webapp: has nothing as vdb from its next start on: /vms/webapp/project.qcow2 was detached by other means; attach it again: project-vm apply --stack storage",
    ]);
  });

  test("because its drive is empty is told so, with what puts it back", () => {
    expect(seen({ disks: [...rootDisk, drive] })).toEqual({
      project: null,
      problems: [
        "project-webapp: must have /vms/webapp/project.qcow2 as vdb, but has nothing; put /vms/webapp/project.qcow2 back in its place: virsh -c 'qemu:///system' edit project-webapp",
      ],
    });
  });
});
