import { expect, test } from "vitest";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { refuseCheckpoints } from "../../../src/project-disks/domain.ts";
import { projectDisk } from "../../../src/project-disks/project-disk.ts";

const disk = projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp");
const virshWith = (answer: () => string): Virsh => {
  const run = async () => answer();
  return { uri: "qemu:///system", run, runPrivately: run };
};

test("a VM with checkpoints of libvirt is not shut down for a restore that cannot be", async () => {
  await expect(
    refuseCheckpoints(
      virshWith(() => "daily 1\ndaily 2\n"),
      disk,
    ),
  ).rejects.toThrow(
    [
      "The snapshot was not restored.",
      "  - project-myapp: must have no checkpoints of libvirt, which keep bitmaps in its disk: no restore goes past them",
      "    remove them while it runs: virsh -c 'qemu:///system' checkpoint-delete project-myapp 'daily 1'",
    ].join("\n"),
  );
});

test("one without goes on, and so does one on a libvirt that has no checkpoints", async () => {
  await expect(
    refuseCheckpoints(
      virshWith(() => "\n"),
      disk,
    ),
  ).resolves.toBeUndefined();
  const unsupported = virshWith(() => {
    throw new VirshError("qemu:///system", ["checkpoint-list"], 1, "this function is not supported", true);
  });
  await expect(refuseCheckpoints(unsupported, disk)).resolves.toBeUndefined();
});

/** As virDomainCheckpointDefFormat writes it. */
const checkpoint = (...disks: string[]) =>
  ["<domaincheckpoint>", "  <name>daily</name>", "  <disks>", ...disks, "  </disks>", "</domaincheckpoint>", ""].join(
    "\n",
  );
const [onRoot, notOnRoot] = ["bitmap' bitmap='daily", "no"].map(
  (what) => `    <disk name='vda' checkpoint='${what}'/>`,
);
const [onData, notOnData] = ["bitmap' bitmap='daily", "no"].map(
  (what) => `    <disk name='vdb' checkpoint='${what}'/>`,
);

test.each([
  ["the root disk alone", checkpoint(onRoot as string, notOnData as string), true],
  ["the root disk, from before the project disk was attached", checkpoint(onRoot as string), true],
  ["the project disk", checkpoint(notOnRoot as string, onData as string), false],
  ["both", checkpoint(onRoot as string, onData as string), false],
  ["a disk that libvirt does not tell", "", false],
])("a restore goes by the disk that is restored: past a checkpoint of %s", async (_, xml, goes) => {
  const run = async (verb: string, ..._args: string[]) => (verb === "checkpoint-list" ? "daily\n" : xml);
  const looked = refuseCheckpoints({ uri: "qemu:///system", run, runPrivately: run }, disk);
  if (goes) await expect(looked).resolves.toBeUndefined();
  else await expect(looked).rejects.toThrow("checkpoint-delete project-myapp daily");
});

test("the one that is named to be removed is one of the project disk", async () => {
  const run = async (verb: string, _domain: string, name: string) => {
    if (verb === "checkpoint-list") return "root 1\ndata 1\n";
    return checkpoint(...(name === "root 1" ? [onRoot, notOnData] : [notOnRoot, onData]).map(String));
  };
  const virsh = { uri: "qemu:///system", run, runPrivately: run } as Virsh;
  await expect(refuseCheckpoints(virsh, disk)).rejects.toThrow("checkpoint-delete project-myapp 'data 1'");
});
