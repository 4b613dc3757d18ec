import { beforeEach, expect, test, vi } from "vitest";
import type { BatchAnswer } from "../../../src/libvirt/virsh-answers.ts";
import { lookAtVms } from "../../../src/operations/look-at-vms.ts";

/** What a host answers to a question, by its verb; an Error says why it does not. */
let answers: Record<string, string | Error>;
vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  withVirshSession: (_: string, use: (ask: (batch: string[][]) => Promise<BatchAnswer[]>) => unknown) =>
    use(async (batch) =>
      batch.map((command) => {
        const answer = answers[command[0] ?? ""] ?? "";
        const said = answer instanceof Error ? { ok: false, output: "", error: answer.message } : undefined;
        return { command, ...(said ?? { ok: true, output: String(answer), error: "" }) };
      }),
    ),
}));

const host = {
  uri: "qemu+ssh://root@storage/system",
  storageDir: "/vms",
  network: { kind: "existing", name: "lan" } as const,
};
beforeEach(() => {
  answers = {
    domstats: "Domain: 'project-webapp'\n  state.state=1\n",
    "pool-list": " project-old \n",
    desc: "project-vms stack storage",
    "pool-dumpxml": "<path>/vms/old</path>",
    "vol-info": "Capacity: 50\nAllocation: 3\n",
  };
});

test("VMs with their stacks, and kept disks", async () => {
  const { vms, disks } = await lookAtVms(host);
  expect(vms).toMatchObject([{ name: "webapp", state: "running", stack: "storage" }]);
  expect(disks).toEqual([{ name: "old", path: "/vms/old/project.qcow2", size: 50, used: 3 }]);
});

const lost = "Disconnected from qemu:///system due to end of file; failed to get domain 'project-webapp'";

test.each([
  ["desc", lost, "whose a VM is"],
  ["desc", "Timed out during operation: cannot acquire state change lock", "whose a VM is"],
  ["vol-info", lost, "whether there is a kept disk"],
  ["net-dhcp-leases", lost, "whether a VM has an address"],
])("a host that does not answer %s (%s) is not known: %s", async (verb, why) => {
  answers[verb] = new Error(why);
  await expect(lookAtVms(host)).rejects.toThrow(`must be answered by the host's libvirt (${why})`);
});

test("a VM that was removed meanwhile is not there, and is nobody else's; a network without leases has none", async () => {
  answers.desc = new Error("failed to get domain 'project-webapp'");
  answers["net-dhcp-leases"] = new Error("failed to get network 'lan'");
  expect((await lookAtVms(host)).vms).toEqual([]);
});
