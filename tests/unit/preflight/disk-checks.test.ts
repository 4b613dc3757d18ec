import { describe, expect, test } from "vitest";
import { type HostSettings, parseStackConfig } from "../../../src/config/parse.ts";
import { UserError } from "../../../src/core/errors.ts";
import { GiB, MiB } from "../../../src/core/sizes.ts";
import type { DomainFound, VolumeFound } from "../../../src/libvirt/inventory.ts";
import { rootDigest } from "../../../src/lifecycle/definition.ts";
import { checkAgainstHost } from "../../../src/preflight/host-checks.ts";
import { asPulumi, file } from "../config/samples.ts";
import { aDomain, anInventory, aPool, aVolume } from "../found.ts";

const rootDisk = aVolume({ name: "disk.qcow2", path: "/vms/webapp/disk.qcow2", capacity: 20 * GiB });
const vm = aDomain({ marks: { definition: "x", root: rootDigest({}) } });

/** The errors for a project that asks for something of a host with these disks, as the user sees them. */
function errors(
  asked: object,
  volumes: VolumeFound[],
  domains: DomainFound[] = [vm],
  pools = [aPool({ volumes })],
): string {
  const raw = asPulumi({
    host: { uri: "qemu:///system", storageDir: "/vms", network: "lan" },
    projects: { webapp: asked },
  });
  const config = parseStackConfig(raw, file);
  const networks = [{ name: "lan", uuid: "1", active: true, autostart: true }];
  const inventory = anInventory({ pools, domains, networks });
  const { errors, pools: unseen } = checkAgainstHost(config, config.host as HostSettings, inventory, "storage", file);
  return new UserError("", [...errors, ...unseen]).message.trim();
}

const mistake = (fact: string, remedy: string) => `- Pulumi.local.yaml: projects.webapp${fact}\n    ${remedy}`;

describe("disks that are there", () => {
  test.each<[string, object, VolumeFound[], DomainFound[]]>([
    ["as big as asked for", {}, [aVolume(), rootDisk], [vm]],
    ["to grow", { disk: "60 GiB", rootDisk: "30 GiB" }, [aVolume(), rootDisk], [vm]],
    ["kept, and adopted as big as it is", {}, [aVolume()], []],
    ["kept, and to grow when it is adopted", { disk: "60 GiB" }, [aVolume()], []],
    ["kept, and adopted bigger than asked for", { disk: "40 GiB" }, [aVolume()], []],
    ["kept, and of a size that is no whole MiB", { disk: "101 MiB" }, [aVolume({ capacity: 100 * MiB + 512 })], []],
    ["a root that is recreated, smaller", { rootDisk: "10 GiB", rebuild: "x" }, [aVolume(), rootDisk], [vm]],
  ])("are used: %s", (_, asked, volumes, domains) => expect(errors(asked, volumes, domains)).toBe(""));

  test("a project disk is never made smaller", () => {
    expect(errors({ disk: "40 GiB" }, [aVolume(), rootDisk])).toBe(
      mistake(
        '.disk: must be at least 50 GiB, as the project disk /vms/webapp/project.qcow2 is: a disk is never made smaller, but is "40 GiB"',
        "write `50 GiB` or more",
      ),
    );
  });

  test("a project disk whose restore was cut off is left alone until that is done again, kept or not", () => {
    const mark = aVolume({ name: "project.qcow2.restoring.first", path: "/vms/webapp/project.qcow2.restoring.first" });
    const said = mistake(
      ": its project disk must first be restored to its snapshot first: that restore was cut off, or has not ended yet",
      "restore it again: project-vm snapshot restore webapp first (it names another way, should that snapshot be gone)",
    );
    expect(errors({}, [aVolume(), rootDisk, mark])).toBe(said);
    expect(errors({}, [aVolume(), mark], [])).toBe(said);
    expect(errors({}, [mark], [])).toBe("");
  });

  describe("a VM whose project disk libvirt does not show is left alone, whatever is asked for", () => {
    const own = aDomain({ ...vm, diskPaths: ["/vms/webapp/project.qcow2"] });
    const virsh = "virsh -c 'qemu:///system'";
    test.each([
      [
        "its pool is gone",
        [],
        ": its project disk is in /vms/webapp, but the pool `project-webapp` that it was in is not on qemu:///system any more",
        `define it again: ${virsh} pool-define-as project-webapp dir --target /vms/webapp && ${virsh} pool-start project-webapp, or project-vm doctor --fix`,
      ],
      [
        "its pool is stopped",
        [aPool({ active: false })],
        ": its project disk cannot be seen: the pool `project-webapp` on qemu:///system is stopped",
        `start it: ${virsh} pool-start project-webapp, or project-vm doctor --fix`,
      ],
      [
        "its file is gone",
        [aPool({ volumes: [rootDisk] })],
        ": its project disk /vms/webapp/project.qcow2 must be there, but libvirt does not see it",
        `put that file back; if it is lost: virsh -c qemu:///system undefine project-webapp --managed-save --snapshots-metadata --checkpoints-metadata --nvram, then \`project-vm import\` a backup, or begin with a new disk`,
      ],
    ])("%s", (_, pools, fact, remedy) => {
      for (const asked of [{}, { disk: "1 GiB" }, { memory: "1 GiB" }])
        expect(errors(asked, [], [own], pools)).toBe(mistake(fact, remedy));
      if (pools.every(({ active }) => active)) expect(errors({}, [], [], pools)).toBe("");
    });
  });

  test.each([
    ["kept", []],
    ["of a VM", [aDomain({ ...vm, diskPaths: ["/vms/webapp/project.qcow2"] })]],
  ])("a project disk that libvirt lists and cannot read is there: no new one is begun (%s)", (_, domains) => {
    expect(errors({}, [], domains, [aPool({ unread: ["project.qcow2"] })])).toBe(
      mistake(
        ": its project disk /vms/webapp/project.qcow2 is there, and must let libvirt read what it is, but does not",
        "see what is wrong with that file: virsh -c 'qemu:///system' vol-dumpxml project.qcow2 --pool project-webapp; then try again",
      ),
    );
    expect(errors({}, [], [], [aPool({ unread: ["disk.qcow2"] })])).toBe("");
  });

  test("a pool that is stopped may have a kept disk; one that an update was making when it was killed has none", () => {
    expect(errors({}, [], [], [aPool({ active: false })])).toBe(
      mistake(
        ": whether its pool has a kept project disk cannot be seen: the pool `project-webapp` on qemu:///system is stopped",
        "start it: virsh -c 'qemu:///system' pool-start project-webapp, or project-vm doctor --fix",
      ),
    );
    expect(errors({}, [], [], [aPool({ active: false, autostart: false })])).toBe("");
    expect(errors({}, [], [], [aPool({ active: false, path: "/elsewhere" })])).not.toContain("cannot be seen");
  });

  test("nor one of a size that is no whole MiB", () => {
    expect(errors({ disk: "100 MiB" }, [aVolume({ capacity: 100 * MiB + 512 })])).toBe(
      mistake(
        '.disk: must be at least 100 MiB, as the project disk /vms/webapp/project.qcow2 is: a disk is never made smaller, but is "100 MiB"',
        "write `101 MiB` or more",
      ),
    );
  });

  test("a root disk is not made smaller unless it is recreated", () => {
    expect(errors({ rootDisk: "10 GiB" }, [aVolume(), rootDisk])).toBe(
      mistake(
        '.rootDisk: must be at least 20 GiB, as the root disk /vms/webapp/disk.qcow2 is, but is "10 GiB"',
        "write `20 GiB` or more, or have the root recreated by another text in `rebuild`",
      ),
    );
  });

  test("a project disk that was adopted bigger than asked for stays so while neither it nor its entry changes", () => {
    const adopted = aDomain({ marks: { ...vm.marks, adopted: { size: 50 * GiB, asked: 40 * GiB } } });
    const refused = (disk: string, has = 50) =>
      errors({ disk }, [aVolume({ capacity: has * GiB }), rootDisk], [adopted]).includes("never made smaller");
    expect(["40 GiB", "50 GiB", "60 GiB"].map((disk) => refused(disk))).toEqual([false, false, false]);
    expect(["39 GiB", "45 GiB"].map((disk) => refused(disk))).toEqual([true, true]);
    expect(refused("40 GiB", 60)).toBe(true);
  });

  test("what is no qcow2 is not adopted", () => {
    expect(errors({}, [aVolume({ format: "raw" })], [])).toBe(
      mistake(
        ": its project disk /vms/webapp/project.qcow2 must be a qcow2 image, but is raw",
        "move that file away (nothing of ours made it), or choose another name for the project",
      ),
    );
  });

  test("nor what stands on another file", () => {
    expect(errors({}, [aVolume({ backingPath: "/etc/secrets.qcow2" })], [])).toBe(
      mistake(
        ": its project disk /vms/webapp/project.qcow2 must stand alone, but has the backing file /etc/secrets.qcow2",
        "move that file away (nothing of ours made it), or choose another name for the project",
      ),
    );
  });

  describe("an overlay of an external snapshot whose domain others have undefined", () => {
    const overlay = (modified: number, name = "project.s1", backingPath = "/vms/webapp/project.qcow2") =>
      aVolume({ name, path: `/vms/webapp/${name}`, backingPath, modified });
    const ours = aVolume({ modified: 1000 });
    const written = (file: string) =>
      mistake(
        `: its disk /vms/webapp/project.qcow2 must have no overlay, but ${file} stands on it, and has what was written since that snapshot`,
        `on the host, if it is a snapshot's overlay, not a disk that its guest had as raw, write it back into ours: qemu-img info --backing-chain ${file} | grep 'data file:' || qemu-img commit -b /vms/webapp/project.qcow2 ${file}; then move ${file} away`,
      );

    test("is to be written back first, all of its chain", () => {
      expect(errors({}, [ours, overlay(2000)], [])).toBe(written("/vms/webapp/project.s1"));
      const second = overlay(3000, "project.s2", "/vms/webapp/project.s1");
      expect(errors({}, [second, ours, overlay(2000)], [])).toBe(written("/vms/webapp/project.s2"));
    });

    test("is not to be written back over what is newer", () => {
      expect(errors({}, [ours, overlay(900)], [])).toBe(
        mistake(
          ": its disk /vms/webapp/project.qcow2 must have no overlay, but /vms/webapp/project.s1 stands on it",
          "its disk was written to since, as by a blockcommit: look whether anything is missing, and move /vms/webapp/project.s1 away",
        ),
      );
    });

    test("is seen in another pool under storageDir as well, and in none where it stands on another VM's disk", () => {
      const [s1, of] = ["/vms/snapshots/webapp.s1", "/vms/webapp/project.qcow2"];
      const seen = (backingPath: string) =>
        errors(
          {},
          [],
          [],
          [
            aPool({ volumes: [ours] }),
            aPool({
              name: "snapshots",
              path: "/vms/snapshots",
              volumes: [aVolume({ name: "webapp.s1", path: s1, backingPath })],
            }),
          ],
        );
      expect(seen(of)).toBe(written(s1));
      expect(seen("/vms/api/project.qcow2")).toBe("");
    });

    test("is the domain's to tell of while that is there", () => {
      expect(errors({}, [ours, rootDisk, overlay(2000)])).toBe("");
    });
  });

  test("nor what another domain uses", () => {
    const other = aDomain({ name: "database", description: "mine", diskPaths: ["/vms/webapp/project.qcow2"] });
    expect(errors({}, [aVolume()], [other])).toBe(
      mistake(
        ": its disks in /vms/webapp/ are used by the domain `database` on qemu:///system, which is not ours",
        "choose another name or another storageDir, or take those disks from that domain",
      ),
    );
  });
});
