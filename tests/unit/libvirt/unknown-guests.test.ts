import path from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { parseHostUri } from "../../../src/config/config-values.ts";
import { shutDown, startIfOff } from "../../../src/guest/power.ts";
import { embeddedHostAt, embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import type { GuestProcess } from "../../../src/libvirt/embedded-look.ts";
import { unknownGuests } from "../../../src/libvirt/unknown-guests.ts";
import { growDisks } from "../../../src/lifecycle/grow.ts";
import { makeWayForDomain, makeWayForVolume, suspendDomain } from "../../../src/lifecycle/replace.ts";
import { tearDown } from "../../../src/lifecycle/teardown.ts";
import { stopVm } from "../../../src/operations/start-and-stop.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";
import { anOutline, aVm } from "../operations/samples.ts";

const own = embeddedHostFor("/a/checkout");
const demo: GuestProcess = { domain: "project-demo", pid: 4711 };
const text = [
  "project-demo runs, though its libvirt takes it for off.",
  "  - project-demo: must be known to its libvirt while it runs, but a QEMU of project-demo runs that libvirt does not know (process 4711)",
  "    log in to it by the `ssh` command that `project-vm status` prints, and shut it down (sudo poweroff), without which what it has not written is lost; then end its process: kill 4711",
].join("\n");

/** The guests' processes, one look after the other; the last one stays. */
let looks: GuestProcess[][];
vi.mock("../../../src/libvirt/embedded-look.ts", async (original) => ({
  ...(await original<object>()),
  guestProcesses: ({ dir }: { dir: string }) => {
    expect(dir).toBe(own.dir);
    return (looks.length > 1 ? looks.shift() : looks[0]) ?? [];
  },
}));
let virsh: FakeVirsh;
vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  virshFor: () => virsh,
}));

const files = ["disk.qcow2", "seed.iso", "project.qcow2"];
beforeEach(() => {
  looks = [[demo]];
  virsh = Object.assign(new FakeVirsh(), { uri: own.uri });
  const disks = ["/vms/demo/disk.qcow2", "/vms/demo/project.qcow2"];
  virsh.domains.set("project-demo", {
    description: "project-vms stack storage",
    running: false,
    keepData: true,
    disks,
  });
  virsh.pools.set(
    "project-demo",
    new Map(files.map((name) => [name, { path: `/vms/demo/${name}`, capacity: 2 ** 30 }])),
  );
  virsh.filters.add("project-demo");
});

describe("a guest that runs", () => {
  const asked = async (known: string) => unknownGuests({ uri: own.uri, run: async () => known });

  test("is unknown where libvirt does not have it among those that are on", async () => {
    expect(await asked("")).toEqual([demo]);
    expect(await asked("project-demo2\n")).toEqual([demo]);
    expect(await asked("project-web\nproject-demo\n")).toEqual([]);
  });

  test("is none where it has ended while libvirt was asked, and another where it has begun", async () => {
    looks = [[demo], []];
    expect(await asked("")).toEqual([]);
    looks = [[demo], [{ ...demo, pid: 4712 }]];
    expect(await asked("")).toEqual([]);
  });

  test("is not known to be off where libvirt does not tell", async () => {
    await expect(
      unknownGuests({ uri: own.uri, run: async () => Promise.reject(new Error("no answer")) }),
    ).rejects.toThrow("no answer");
  });

  test.each([
    "qemu:///system",
    "qemu+ssh://root@storage/system",
    `qemu+ssh://root@storage/system?${own.uri.split("?")[1]}`,
  ])("on %s is not looked for", async (uri) => {
    expect(await unknownGuests({ uri, run: async () => "" })).toEqual([]);
    expect(embeddedHostAt(uri)).toBeUndefined();
  });
});

describe("a URI that the config takes, and that leads to an embedded host,", () => {
  const { dir, uri } = own;
  test.each([
    uri,
    `${uri}&mode=direct`,
    uri.replace("?", "?mode=direct&"),
    uri.replace("qemu+unix", "QEMU+unix"),
    uri.replace("qemu+unix", "qemu"),
    `qemu+unix:///system?%73ocket=${encodeURIComponent(`${dir}/run/libvirt/libvirt-sock`)}`,
    `qemu+unix:///system?socket=${dir}/../${path.basename(dir)}/run//libvirt/libvirt-sock`,
  ])("is known for that: %s", async (given) => {
    expect(parseHostUri(given)).toBe(given);
    expect(embeddedHostAt(given)).toEqual({ dir, netns: own.netns });
    expect(await unknownGuests({ uri: given, run: async () => "" })).toEqual([demo]);
  });
});

describe("to a VM that runs unknown to its libvirt nothing is done", () => {
  const log = () => undefined;
  const place = { owner: "storage", storageDir: "/vms" };
  const teardown = { uri: own.uri, project: "demo", owner: "storage", keepData: true };
  const vm = { outline: anOutline(), vm: aVm({ name: "demo", state: "shut off" }) };
  test.each<[string, () => Promise<unknown>]>([
    ["a start", () => startIfOff(virsh, "project-demo")],
    ["a stop", () => stopVm(vm, {}, log)],
    ["a stop by force", () => stopVm(vm, { force: true }, log)],
    ["what shuts it down first", () => shutDown(virsh, "project-demo", log)],
    ["another definition", () => makeWayForDomain(virsh, "demo", place, log)],
    ["the same definition again", () => suspendDomain(virsh, "demo", place, log)],
    ["another root disk", () => makeWayForVolume(virsh, "demo", "disk.qcow2", place, log)],
    ["a bigger disk", () => growDisks(virsh, "demo", { project: 2 ** 31, root: 2 ** 30 }, log)],
    ["its teardown", () => tearDown(virsh, teardown, {}, log)],
    ["its teardown, data and all", () => tearDown(virsh, { ...teardown, keepData: false }, {}, log)],
  ])("by %s", async (_, act) => {
    await expect(act()).rejects.toThrow(text);
    expect(virsh.changes).toEqual([]);
  });

  test("nor by its teardown, or another root disk, once its definition is gone", async () => {
    virsh.domains.clear();
    await expect(tearDown(virsh, teardown, {}, log)).rejects.toThrow(text);
    await expect(makeWayForVolume(virsh, "demo", "disk.qcow2", place, log)).rejects.toThrow(text);
    expect(virsh.changes).toEqual([]);
  });
});

test("nothing is removed under a guest that libvirt lost while it was shut down", async () => {
  virsh.domains.set("project-demo", { ...virsh.domains.get("project-demo"), running: true } as never);
  const teardown = { uri: own.uri, project: "demo", owner: "storage", keepData: true };
  await expect(tearDown(virsh, teardown, {}, () => undefined)).rejects.toThrow(text);
  expect(virsh.changes.map((change) => change.split(" ")[0])).toEqual(["shutdown"]);
});
