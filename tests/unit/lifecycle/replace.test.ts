import { beforeEach, describe, expect, test, vi } from "vitest";
import { domainUuid } from "../../../src/core/names.ts";
import {
  makeWayForDomain,
  makeWayForVolume,
  requireDataDisk,
  requireRoomForImage,
  suspendDomain,
  type VmPlace,
} from "../../../src/lifecycle/replace.ts";
import { FakeVirsh } from "./fake-virsh.ts";

const uuid = domainUuid("webapp");
const ours = { description: "project-vms stack storage", running: true, disks: [], uuid };
const place: VmPlace = { owner: "storage", storageDir: "/vms" };
let virsh: FakeVirsh;
const log = () => {};

beforeEach(() => {
  virsh = new FakeVirsh();
  virsh.domains.set("project-webapp", { ...ours });
  virsh.pools.set(
    "project-webapp",
    new Map(["disk.qcow2", "project.qcow2"].map((name) => [name, { path: `/vms/webapp/${name}`, capacity: 2 ** 30 }])),
  );
});
const volumes = () => [...(virsh.pools.get("project-webapp")?.keys() ?? [])];

describe("before a domain is redefined", () => {
  test("its guest is shut down, its definition stays to be changed in place, and a note says that it is to run", async () => {
    await makeWayForDomain(virsh, "webapp", place, log);
    expect(virsh.domains.get("project-webapp")).toMatchObject({ running: false });
    expect(virsh.changes.map((change) => change.split(" ")[0])).toEqual(["metadata", "shutdown"]);
    expect(volumes()).toEqual(["disk.qcow2", "project.qcow2"]);
  });

  test("a console log that lies in its pool, where libvirt looks into it, goes", async () => {
    for (const name of ["console.log", "console.log.0", "console.log.gz"])
      virsh.pools.get("project-webapp")?.set(name, { path: `/vms/webapp/${name}` });
    await makeWayForDomain(virsh, "webapp", place, log);
    expect(volumes()).toEqual(["disk.qcow2", "project.qcow2", "console.log.gz"]);
  });

  test("a pool that is stopped keeps nothing from going on", async () => {
    virsh.stopped.add("project-webapp");
    await makeWayForDomain(virsh, "webapp", place, log);
    expect(virsh.domains.get("project-webapp")).toMatchObject({ running: false });
  });

  test("where others have undefined it after an external snapshot, what was written since is not left behind", async () => {
    virsh.domains.clear();
    await makeWayForDomain(virsh, "webapp", place, log);
    const overlay = { path: "/snapshots/webapp.s1", backing: "/vms/webapp/project.qcow2" };
    virsh.pools.get("project-webapp")?.set("webapp.s1", overlay);
    await expect(makeWayForDomain(virsh, "webapp", place, log)).rejects.toThrow(
      [
        "webapp is not defined on its disks. Nothing on them was changed.",
        "  - /vms/webapp/project.qcow2: must have no overlay, but /snapshots/webapp.s1 stands on it, and has what was written since that snapshot",
        "    on the host, if it is a snapshot's overlay, not a disk that its guest had as raw, write it back into ours: qemu-img info --backing-chain /snapshots/webapp.s1 | grep 'data file:' || qemu-img commit -b /vms/webapp/project.qcow2 /snapshots/webapp.s1; then move /snapshots/webapp.s1 away",
      ].join("\n"),
    );
    expect(virsh.changes).toEqual([]);
  });

  test("where others have undefined it and moved the lower one of two overlays away, that is asked back", async () => {
    virsh.domains.clear();
    const overlay = { path: "/vms/webapp/project.s2", backing: "/vms/webapp/project.s1" };
    virsh.pools.get("project-webapp")?.set("project.s2", overlay);
    await expect(makeWayForDomain(virsh, "webapp", place, log)).rejects.toThrow(
      "/vms/webapp/project.s2: must stand on what is there, but /vms/webapp/project.s1 is not: if that stood on our disk",
    );
    expect(virsh.changes).toEqual([]);
  });

  describe("where others have undefined it, what stands on its disks elsewhere", () => {
    const refusal = (disk: string, top: string) =>
      [
        "webapp is not defined on its disks. Nothing on them was changed.",
        `  - /vms/webapp/${disk}: must have no overlay, but ${top} stands on it, and has what was written since that snapshot`,
        `    on the host, if it is a snapshot's overlay, not a disk that its guest had as raw, write it back into ours: qemu-img info --backing-chain ${top} | grep 'data file:' || qemu-img commit -b /vms/webapp/${disk} ${top}; then move ${top} away`,
      ].join("\n");
    const make = (place_ = place) => makeWayForDomain(virsh, "webapp", place_, log);
    const inPool = (name: string, backing: string) =>
      virsh.pools.set("fast", new Map(virsh.pools.get("fast")).set(name, { path: `/srv/fast/${name}`, backing }));
    beforeEach(() => virsh.domains.clear());

    test.each(["project.qcow2", "disk.qcow2"])("in another pool, is not left behind (%s)", async (disk) => {
      inPool("webapp.s1", `/vms/webapp/${disk}`);
      await expect(make()).rejects.toThrow(refusal(disk, "/srv/fast/webapp.s1"));
      expect(virsh.changes).toEqual([]);
    });

    test("does not count where it stands on another, or it is only not known whether it does", async () => {
      inPool("api.s1", "/vms/api/project.qcow2");
      virsh.pools.set("isos", new Map());
      virsh.stopped.add("isos");
      virsh.pools.set("away", new Map());
      virsh.unreadable.add("away");
      // One that has the disk itself holds nothing that is not on it.
      virsh.domains.set("rescue", { description: "", running: false, disks: ["/vms/webapp/project.qcow2"] });
      await expect(make()).resolves.toBeUndefined();
    });

    test.each<[string, boolean, string]>([
      [
        "is started again once it can be read",
        true,
        "the pool away: libvirt could not read it and had stopped it; it was started again",
      ],
      [
        "is named while it cannot",
        false,
        "the pool away: libvirt could not read it and has stopped it (cannot open directory: Permission denied); once it can be read, start it: virsh -c qemu:///system pool-start away",
      ],
    ])("is looked for in a pool that libvirt stops for that, which %s", async (_, passes, line) => {
      virsh.pools.set("away", new Map());
      virsh.unreadable.add("away");
      const real = FakeVirsh.prototype.run.bind(virsh);
      vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
        if (args[0] === "pool-start" && passes) virsh.unreadable.clear();
        return real(...args);
      });
      const said: string[] = [];
      await makeWayForDomain(virsh, "webapp", place, (text) => said.push(text));
      expect([said, virsh.stopped.has("away")]).toEqual([[line], !passes]);
    });

    test("is not looked for where the update itself has made them: a new VM waits for no look at all volumes", async () => {
      inPool("a", "/vms/webapp/project.qcow2");
      const before = virsh.asked;
      await expect(make({ ...place, isNew: true })).resolves.toBeUndefined();
      expect(virsh.asked - before).toBeLessThan(10);
    });
  });

  test("one under another UUID is undefined; its disks are not touched", async () => {
    virsh.domains.set("project-webapp", { ...ours, running: false, uuid: "another" });
    await makeWayForDomain(virsh, "webapp", place, log);
    expect(virsh.domains.size).toBe(0);
    expect(volumes()).toEqual(["disk.qcow2", "project.qcow2"]);
  });

  test("a copy of another VM of the stack, with its mark, is refused and goes on", async () => {
    const copied = ["/vms/api/disk-clone.qcow2", "/vms/api/project-clone.qcow2"];
    virsh.domains.set("project-webapp", { ...ours, disks: copied, uuid: "another" });
    await expect(makeWayForDomain(virsh, "webapp", place, log)).rejects.toThrow(
      "project-webapp: must be a VM of this stack, but is a copy of one, with its mark and other disks (virt-manager, virt-clone)\n",
    );
    expect(virsh.changes).toEqual([]);
  });

  test("one whose description others rewrote is refused with the way to mark it again, and goes on", async () => {
    const refused = async (running: boolean) => {
      virsh.domains.set("project-webapp", { ...ours, description: "Anna's web app", definition: "d", running });
      const error = await makeWayForDomain(virsh, "webapp", place, log).catch((error: Error) => error.message);
      return String(error).split("\n");
    };
    const desc = "virsh -c qemu:///system desc project-webapp";
    const write = `${desc} "$(echo 'project-vms stack storage'; ${desc})" --config`;
    expect(await refused(true)).toEqual([
      "The domain project-webapp on this host does not say which stack it is of.",
      '  - project-webapp: a domain that is worked on must be marked "project-vms stack storage", but is "Anna\'s web app"',
      `    if it is this stack's, give it the mark back, as a line of its description: ${write} --live`,
    ]);
    expect((await refused(false)).at(-1)?.endsWith(write)).toBe(true);
    expect(virsh.changes).toEqual([]);
  });

  test("somebody else's is refused and goes on", async () => {
    virsh.domains.set("project-webapp", { ...ours, description: "mine" });
    await expect(makeWayForDomain(virsh, "webapp", place, log)).rejects.toThrow(
      [
        "The domain project-webapp on this host belongs to somebody else.",
        '  - project-webapp: a domain that is adopted must be marked "project-vms stack storage", but is "mine"',
        "    rename the project, or remove that domain by hand if it is not needed",
      ].join("\n"),
    );
    expect(virsh.changes).toEqual([]);
  });
});

describe("a VM that runs on an overlay over one of its disks", () => {
  const own = ["/vms/webapp/disk.qcow2", "/vms/webapp/project.qcow2"];
  const overlay = ["/vms/webapp/disk.qcow2", "/vms/webapp/project.s1"];
  const refusal = "project-webapp: must have /vms/webapp/project.qcow2 as vdb, but has /vms/webapp/project.s1";

  test.each<[string, () => Promise<void>]>([
    ["to be defined again", () => makeWayForDomain(virsh, "webapp", place, log)],
    ["to be adopted", () => suspendDomain(virsh, "webapp", place, log)],
    ["to get another root", () => makeWayForVolume(virsh, "webapp", "disk.qcow2", place, log)],
  ])("is refused %s, whether it is so now, from its next start on, or off", async (_, act) => {
    for (const disks of [
      { disks: overlay },
      { disks: overlay, definedDisks: own },
      { disks: own, definedDisks: overlay },
      { disks: overlay, running: false },
    ]) {
      virsh.domains.set("project-webapp", { ...ours, ...disks });
      await expect(act()).rejects.toThrow(refusal);
    }
    expect(virsh.changes).toEqual([]);
    virsh.domains.set("project-webapp", { ...ours, disks: own });
    await expect(act()).resolves.toBeUndefined();
  });
});

describe("a VM whose memory was saved when it was stopped", () => {
  const refusal =
    /project-webapp: must not have saved memory .*\n {4}start it, .*: project-vm start webapp --stack storage;/;
  beforeEach(() => virsh.domains.set("project-webapp", { ...ours, running: false, saved: true }));

  test.each<[string, () => Promise<void>]>([
    ["to be defined again", () => makeWayForDomain(virsh, "webapp", place, log)],
    ["to be adopted", () => suspendDomain(virsh, "webapp", place, log)],
    ["to get another root", () => makeWayForVolume(virsh, "webapp", "disk.qcow2", place, log)],
  ])("is refused %s: what its guest had not written would be gone", async (_, act) => {
    await expect(act()).rejects.toThrow(refusal);
    expect(virsh.changes).toEqual([]);
    expect(volumes()).toEqual(["disk.qcow2", "project.qcow2"]);
  });

  test("by an update that was cut off resumes at the next one, being marked as starting", async () => {
    virsh.domains.set("project-webapp", { ...ours, running: false, saved: true, starting: true });
    await expect(suspendDomain(virsh, "webapp", place, log)).resolves.toBeUndefined();
    virsh.domains.set("project-webapp", { ...ours });
    await suspendDomain(virsh, "webapp", place, log);
    expect(virsh.changes).toEqual([
      expect.stringMatching(/^metadata .*pending="yes"/),
      "managedsave project-webapp --running",
    ]);
  });
});

describe("before a root disk is recreated", () => {
  const root = "/vms/webapp/disk.qcow2";
  test("the guest is shut down and the old one goes, and nothing else", async () => {
    await makeWayForVolume(virsh, "webapp", "disk.qcow2", place, log);
    expect(volumes()).toEqual(["project.qcow2"]);
    expect(virsh.domains.get("project-webapp")).toMatchObject({ running: false });
  });

  test.each<[string, () => unknown, string]>([
    [
      "another domain has it",
      () => virsh.domains.set("copy", { description: "", running: false, disks: [root] }),
      "the domain copy uses it",
    ],
    [
      "a volume of another pool stands on it",
      () => virsh.pools.set("clones", new Map([["clone", { path: "/clones/clone", backing: root }]])),
      "/clones/clone stands on it",
    ],
  ])("nothing is done while %s", async (_, change, fact) => {
    change();
    await expect(makeWayForVolume(virsh, "webapp", "disk.qcow2", place, log)).rejects.toThrow(
      [
        "The disk.qcow2 of webapp is not recreated. Nothing was changed.",
        `  - ${root}: must not be used by anything else, but ${fact}`,
        "    take it from that domain; remove an image that stands on it, or have its owner copy that elsewhere first: sudo -u <owner> qemu-img convert -O qcow2",
      ].join("\n"),
    );
    expect(virsh.changes).toEqual([]);
  });

  test("it goes where it is only not known who uses it: a pool of ISO images may be stopped", async () => {
    virsh.pools.set("isos", new Map());
    virsh.stopped.add("isos");
    virsh.domains.set("far", { description: "", running: false, disks: ["/not/mounted.qcow2"] });
    await makeWayForVolume(virsh, "webapp", "disk.qcow2", place, log);
    expect(volumes()).toEqual(["project.qcow2"]);
  });

  test("it must have room for its image, or nothing is removed", async () => {
    virsh.pools.set("", new Map([["/vms/base/i.qcow2", { path: "/vms/base/i.qcow2", capacity: 4 * 2 ** 30 }]]));
    const check = (size: number) => requireRoomForImage(virsh, "webapp", "/vms/base/i.qcow2", size);
    await expect(check(4 * 2 ** 30)).resolves.toBeUndefined();
    await expect(check(2 * 2 ** 30)).rejects.toThrow(
      [
        "The root disk of webapp is too small for its base image.",
        '  - projects.webapp.rootDisk: must be at least 4 GiB, as /vms/base/i.qcow2 is, but is "2 GiB"',
        "    write `4 GiB` or more",
      ].join("\n"),
    );
  });
});

describe("a project disk that is adopted", () => {
  test("is there or not", async () => {
    await expect(requireDataDisk(virsh, "webapp")).resolves.toBe(true);
    virsh.pools.set("project-webapp", new Map());
    await expect(requireDataDisk(virsh, "webapp")).resolves.toBe(false);
  });

  test.each([
    [{ format: "raw" }, "must be a qcow2 image, but is raw"],
    [{ backing: "/etc/x" }, "must stand alone, but has the backing file /etc/x"],
  ])("with %j is refused", async (volume, fact) => {
    virsh.pools.set("project-webapp", new Map([["project.qcow2", { path: "/vms/webapp/project.qcow2", ...volume }]]));
    await expect(requireDataDisk(virsh, "webapp")).rejects.toThrow(fact);
    expect(virsh.changes).toEqual([]);
  });
});
