import { expect, test } from "vitest";
import { domainUuid } from "../../../src/core/names.ts";
import { describeCopies, type Identity, isCopy } from "../../../src/libvirt/copies.ts";
import { isOwnedBy } from "../../../src/lifecycle/leftovers.ts";
import { aDomain } from "../found.ts";

const files = (folder: string, ...names: string[]) => names.map((name) => `/vms/${folder}/${name}`);
const own = files("webapp", "disk.qcow2", "project.qcow2", "seed.iso");
const copied = files("webapp", "disk-clone.qcow2", "project-clone.qcow2", "seed.iso");

test.each<[string, Identity, boolean]>([
  ["a VM", { name: "project-webapp", uuid: domainUuid("webapp"), diskPaths: own }, false],
  ["a VM on other disks", { name: "project-webapp", uuid: domainUuid("webapp"), diskPaths: ["/x"] }, false],
  ["a VM of an earlier version", { name: "project-webapp", uuid: "2b7d", diskPaths: own }, false],
  [
    "one by the volumes of its pool",
    { name: "project-webapp", uuid: "2b7d", diskPaths: ["project-webapp/disk.qcow2"] },
    false,
  ],
  [
    "one with an external snapshot",
    { name: "project-webapp", uuid: "2b7d", diskPaths: files("webapp", "disk.s1", "project.s1") },
    false,
  ],
  ["what virt-clone makes", { name: "project-webapp-clone", uuid: "2b7d", diskPaths: copied }, true],
  ["one that is called otherwise", { name: "trial", uuid: "2b7d", diskPaths: copied }, true],
  ["one that is called as another project", { name: "project-api", uuid: "2b7d", diskPaths: copied }, true],
  ["a VM that was renamed", { name: "project-api", uuid: domainUuid("webapp"), diskPaths: own }, true],
])("%s: whether it is a copy", (_, identity, is) => {
  expect(isCopy(identity)).toBe(is);
  expect(isOwnedBy({ ...identity, description: "project-vms stack storage" }, "storage")).toBe(!is);
});

test("copies of a stack's VMs are named, and nobody else's domains", () => {
  const copy = aDomain({ name: "project-webapp-clone", diskPaths: copied });
  const others = [
    aDomain(),
    aDomain({ name: "trial", description: "mine" }),
    { ...copy, description: "project-vms stack raider" },
  ];
  expect(describeCopies([copy, ...others], "storage")).toEqual([
    "the domain `project-webapp-clone` bears the mark of this stack, but is none of its VMs: a copy (virt-manager, virt-clone), or one that was renamed; it is left alone",
  ]);
});
