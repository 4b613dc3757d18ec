import { expect, test, vi } from "vitest";
import { tailnetNamespace } from "../../../src/libvirt/libvirt-xml.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { tearDown } from "../../../src/lifecycle/teardown.ts";
import { aNode } from "../guest/samples.ts";
import { FakeVirsh } from "./fake-virsh.ts";

const asked = vi.hoisted(() => [] as unknown[]);
vi.mock("../../../src/tailnet/access.ts", async (original) => ({
  ...(await original<object>()),
  accessOf: () => ({ kind: "headscale" }),
}));
vi.mock("../../../src/tailnet/devices.ts", async (original) => ({
  ...(await original<object>()),
  tailnetDevices: () => ({}),
  removeVmDevice: async (_: unknown, identity: unknown) => {
    asked.push(identity);
    return { removed: [], foreign: [] };
  },
}));

test("a teardown that is done again after the domain went still knows the device that it noted", async () => {
  const virsh = new FakeVirsh();
  const disks = ["disk.qcow2", "project.qcow2"].map((name) => `/vms/webapp/${name}`);
  virsh.domains.set("project-webapp", {
    description: "project-vms stack storage",
    running: false,
    keepData: true,
    disks,
  });
  virsh.pools.set(
    "project-webapp",
    new Map(["disk.qcow2", "project.qcow2"].map((name, i) => [name, { path: disks[i] as string }])),
  );
  const mark = `<t:tailnet xmlns:t="${tailnetNamespace}" id="n9" node="${aNode(9).nodeKey}"/>`;
  const real = FakeVirsh.prototype.run.bind(virsh);
  let isTaken = false;
  vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
    const answer = await real(...args);
    if (args[0] === "vol-delete" && !isTaken) {
      isTaken = true;
      throw new VirshError("fake", args, undefined, "failed to get vol 'disk.qcow2'", true);
    }
    return args[0] === "dumpxml" ? answer.replace("<metadata>", `<metadata>${mark}`) : answer;
  });
  const tailnet = { tag: "tag:project-vm", domain: "tailnet.test" };
  const teardown = { uri: "fake", project: "webapp", owner: "storage", keepData: true, tailnet };
  await tearDown(virsh, teardown, {}, () => undefined);
  expect(asked).toEqual([expect.objectContaining({ id: "n9" })]);
});
