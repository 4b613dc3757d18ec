import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { expect, test } from "vitest";
import { domainUuid } from "../../../src/core/names.ts";
import { bearsMark, describeCopies, type Identity, isCopy, markRemedy } from "../../../src/libvirt/copies.ts";
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

test.each([
  ["a line of text", "Anna's web app"],
  ["lines of a stranger's", "--help\n'; touch pwned; $(touch pwned) `touch pwned` \"\\n%s\u001b[2J\n\tend"],
  ["none", ""],
])("a VM gets its mark back beside what others wrote as its description: %s", (_, description) => {
  const dir = mkdtempSync(path.join(tmpdir(), "mark-"));
  // What virsh does with these words.
  const virsh = `#!/bin/sh\n[ "$1 $2 $3 $4" = "-c qemu:///system desc project-webapp" ] || exit 9\n[ $# -gt 4 ] || exec cat '${dir}/desc'\nshift 4\nprintf %s "$1" >'${dir}/desc.new'; mv '${dir}/desc.new' '${dir}/desc'; shift; echo "$*" >'${dir}/places'\n`;
  writeFileSync(path.join(dir, "virsh"), virsh, { mode: 0o755 });
  writeFileSync(path.join(dir, "desc"), description);
  const remedy = markRemedy("qemu:///system", "storage", { project: "webapp", isOff: false, description });
  // Nothing of the text is in what is to be pasted.
  if (description !== "") expect(remedy).not.toContain(description.slice(0, 6));
  const command = remedy.slice(remedy.indexOf("virsh "));
  execaSync("sh", ["-c", command], { cwd: dir, env: { PATH: `${dir}:${process.env.PATH}` } });
  const written = readFileSync(path.join(dir, "desc"), "utf8");
  expect(written).toBe(["project-vms stack storage", ...(description ? [description] : [])].join("\n"));
  expect(bearsMark(written, "storage")).toBe(true);
  expect(readFileSync(path.join(dir, "places"), "utf8")).toBe("--config --live\n");
  expect(() => readFileSync(path.join(dir, "pwned"))).toThrow("ENOENT");
  rmSync(dir, { recursive: true });
});
