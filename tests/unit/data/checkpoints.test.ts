import { expect, test } from "vitest";
import { refuseCheckpoints } from "../../../data/domain.ts";
import { projectDisk } from "../../../data/project-disk.ts";
import { type Virsh, VirshError } from "../../../host/virsh.ts";

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
