import { beforeEach, describe, expect, test } from "vitest";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { growDisks } from "../../../src/lifecycle/grow.ts";
import { FakeVirsh } from "./fake-virsh.ts";

const GiB = 2 ** 30;

/** One whose guest's agent is never heard: that takes a guest. */
class AgentlessVirsh extends FakeVirsh {
  override async run(...args: string[]): Promise<string> {
    if (args[0] !== "qemu-agent-command") return super.run(...args);
    throw new VirshError("fake", args, 1, "domain is not running");
  }
}
let virsh: AgentlessVirsh;
const log: string[] = [];
const grow = (sizes: { project: number; root: number }, always = false) =>
  growDisks(virsh, "webapp", sizes, (line) => void log.push(line), always);

beforeEach(() => {
  log.length = 0;
  virsh = new AgentlessVirsh();
  virsh.domains.set("project-webapp", { description: "project-vms stack storage", running: true, disks: [] });
  const disks = ["disk.qcow2", "project.qcow2"];
  virsh.pools.set("project-webapp", new Map(disks.map((name) => [name, { path: `/vms/${name}`, capacity: 2 * GiB }])));
});

describe("disks of a VM", () => {
  test("grow through the guest that runs, or else through the pool", async () => {
    await grow({ project: 3 * GiB, root: 2 * GiB });
    virsh.domains.set("project-webapp", { description: "", running: false, disks: [] });
    await grow({ project: 2 * GiB, root: 4 * GiB });
    expect(virsh.changes).toEqual([
      `blockresize project-webapp vdb ${3 * GiB}B`,
      `vol-resize disk.qcow2 ${4 * GiB}B --pool project-webapp`,
    ]);
    expect(log).toEqual([
      "project-webapp: project disk grown from 2 GiB to 3 GiB",
      "project-webapp: its guest agent does not answer; the filesystem on its project disk grows at the next boot",
      "project-webapp: root disk grown from 2 GiB to 4 GiB",
    ]);
  });

  test("grow under whatever name they have in the guest", async () => {
    const disks = ["/vms/project.qcow2", "/srv/more.img", "/vms/disk.qcow2"];
    virsh.domains.set("project-webapp", { description: "", running: true, disks });
    await grow({ project: 3 * GiB, root: 4 * GiB });
    expect(virsh.changes).toEqual([
      `blockresize project-webapp vda ${3 * GiB}B`,
      `blockresize project-webapp vdc ${4 * GiB}B`,
    ]);
  });

  test.each([true, false])("do not grow under or over an overlay (running: %s)", async (running) => {
    const disks = ["/vms/disk.qcow2", "/vms/project.s1"];
    virsh.domains.set("project-webapp", { description: "", running, disks });
    const refusal = "project-webapp: must have /vms/project.qcow2 as vdb, but has /vms/project.s1";
    await expect(grow({ project: 3 * GiB, root: 2 * GiB })).rejects.toThrow(refusal);
    expect(virsh.changes).toEqual([]);
  });

  test("do not grow under saved memory, which fits only the disk as it is", async () => {
    virsh.domains.set("project-webapp", { description: "", running: false, disks: [], saved: true });
    await expect(grow({ project: 3 * GiB, root: 2 * GiB })).rejects.toThrow("must not have saved memory");
    expect(virsh.changes).toEqual([]);
  });

  test("are never made smaller", async () => {
    await grow({ project: GiB, root: GiB }, true);
    expect(virsh.changes).toEqual([]);
  });
});

describe("a guest that was paused because its host is full", () => {
  const full = { description: "", running: true, disks: [], state: "paused (I/O error)" };

  test("is named with what is free there, and what to do", async () => {
    virsh.domains.set("project-webapp", { ...full });
    await expect(grow({ project: 3 * GiB, root: 2 * GiB })).rejects.toThrow(
      [
        "project-webapp is paused: its host has no room for what it writes. Nothing is lost.",
        "  - /vms/webapp: must have room for what is written on the VM's disks, but has 0.5 MiB",
        "    free space there, then run `pulumi up` again: the VM goes on where it stopped",
      ].join("\n"),
    );
  });

  test("goes on at the next attempt", async () => {
    virsh.domains.set("project-webapp", { ...full });
    await grow({ project: 2 * GiB, root: 2 * GiB }, true);
    expect(virsh.changes).toEqual(["resume project-webapp"]);
    expect(log).toEqual(["project-webapp: was paused because its host's disk was full, and resumes"]);
  });
});
