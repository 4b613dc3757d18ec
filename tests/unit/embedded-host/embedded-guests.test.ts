import { beforeEach, describe, expect, test, vi } from "vitest";
import { startAgain } from "../../../src/embedded-host/embedded-guests.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";

let virsh: FakeVirsh;
const started: string[] = [];
vi.mock("../../../src/libvirt/virsh.ts", async (original) => ({
  ...(await original<object>()),
  virshFor: () => virsh,
  virshSession: async (_: string, batch: string[][]) =>
    Promise.all(
      batch.map(async (command) => {
        if (command[0] === "start") started.push(command[1] ?? "");
        const answer = await virsh.run(...command).catch((error: VirshError) => error);
        if (answer instanceof Error) return { command, ok: false, output: "", error: answer.reason };
        return { command, ok: true, output: answer, error: "" };
      }),
    ),
}));

const mark = "project.qcow2.restoring.first";
let said: string[];

beforeEach(() => {
  virsh = new FakeVirsh();
  started.length = 0;
  said = [];
  for (const name of ["web", "api"]) {
    const disks = [`/vms/${name}/project.qcow2`];
    virsh.domains.set(`project-${name}`, { description: "project-vms stack storage", running: false, disks });
    virsh.pools.set(`project-${name}`, new Map([["project.qcow2", { path: `/vms/${name}/project.qcow2` }]]));
  }
});

const startAll = async () => {
  const domains = ["project-web", "project-api", "mine"];
  await startAgain(embeddedHostFor("/nowhere"), { domains, networks: [], pools: [] }, (line) => said.push(line));
  return { started, refusals: said.filter((line) => line.includes("not started")) };
};

describe("a host that starts again starts all that ran", () => {
  test("where no restore was cut off", async () => {
    expect(await startAll()).toEqual({ started: ["project-web", "project-api", "mine"], refusals: [] });
  });

  test("but a guest whose disk was being restored, also when its pool has not been read since", async () => {
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args.join(" ") === "pool-refresh project-web")
        virsh.pools.get("project-web")?.set(mark, { path: `/vms/web/${mark}` });
      return real(...args);
    });
    expect(await startAll()).toEqual({
      started: ["project-api", "mine"],
      refusals: [
        "embedded host: project-web is not started: the project disk of web must first be restored to its snapshot first: that restore was cut off, or has not ended yet; restore it again: project-vm snapshot restore web first (it names another way, should that snapshot be gone)",
      ],
    });
  });

  test("but a guest whose pool is gone", async () => {
    virsh.pools.delete("project-web");
    expect(await startAll()).toEqual({
      started: ["project-api", "mine"],
      refusals: [
        "embedded host: project-web is not started: the pool project-web must show whether a restore of the project disk of web was cut off, but is not on qemu:///system any more; define it again: project-vm doctor --fix",
      ],
    });
  });

  test("also a copy of a VM that virt-manager made, which has no pool of ours", async () => {
    const copy = { description: "project-vms stack storage", running: false, disks: ["/vms/web/project-clone.qcow2"] };
    virsh.domains.set("project-api", copy);
    virsh.pools.delete("project-api");
    expect(await startAll()).toEqual({ started: ["project-web", "project-api", "mine"], refusals: [] });
  });

  test("but a guest whose pool cannot be listed", async () => {
    const real = FakeVirsh.prototype.run.bind(virsh);
    vi.spyOn(virsh, "run").mockImplementation(async (...args) => {
      if (args.join(" ") === "vol-list project-web") throw new VirshError("fake", args, 1, "out of memory");
      return real(...args);
    });
    expect(await startAll()).toEqual({
      started: ["project-api", "mine"],
      refusals: [
        "embedded host: project-web is not started: whether a restore of its disk was cut off is not known (out of memory)",
      ],
    });
  });
});
