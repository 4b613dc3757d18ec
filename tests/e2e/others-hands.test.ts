import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkoutEnvironment } from "../../local/checkout.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { expectMarker, writeMarker } from "./support/marker.ts";
import { ProjectVmTool } from "./support/project-data.ts";

const checkout = new Checkout("others-hands");
const { host, virsh } = checkout;
const tool = new ProjectVmTool(checkout);
const disk = path.join(host.storageDir, "alpha/project.qcow2");
const marker = 0xa1;
const expectData = () => expectMarker(disk, marker);
const domains = async () => (await virsh.run("list", "--all", "--name")).trim();
const configure = (projects: Record<string, object>) =>
  checkout.configure({
    defaults: { memory: "256 MiB", cpus: 1, disk: "64 MiB", rootDisk: "8 GiB" },
    projects,
  });
const domain = "project-alpha";
const autostarted = async () => (await virsh.run("list", "--all", "--autostart", "--name")).trim();

/** The verb's output, which must end in success. */
async function succeed(...args: string[]) {
  const { exitCode, stdout, all } = await tool.run(...args);
  expect(exitCode, all).toBe(0);
  return { stdout, all };
}

async function refuse(says: string, ...args: string[]): Promise<void> {
  const { exitCode, all } = await tool.run(...args);
  expect([exitCode, all]).toEqual([1, expect.stringContaining(says)]);
}

const expectSettled = async () => expect((await succeed("plan")).stdout).toBe("nothing changes");

beforeAll(async () => {
  await checkout.create({ running: false });
  configure({ alpha: {} });
  await succeed("apply", "--yes");
  await writeMarker(disk, marker);
});
afterAll(() => checkout.remove());

describe("a VM that others changed by virsh", () => {
  test.each(["disk.qcow2", "seed.iso"])(
    "without its %s, has it again by a plain up, and all its data",
    async (volume) => {
      await virsh.run("vol-delete", volume, "--pool", domain);
      expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview"));
      expect(existsSync(path.join(host.storageDir, "alpha", volume))).toBe(true);
      await expectData();
      expectSuccess(await checkout.pulumi("preview", "--expect-no-changes"));
    },
  );

  test("started with its host, by their hand, no longer is after the next update", async () => {
    await virsh.run("autostart", domain);
    expect((await succeed("plan")).stdout).toBe("alpha: stays shut off, autostart off, data kept");
    await succeed("apply", "--yes");
    expect(await autostarted()).toBe("");
    await expectSettled();
  });

  test("given devices, loses them with the next change of its definition, which names them first", async () => {
    const device = path.join(checkout.dir, "device.xml");
    for (const xml of [
      "<sound model='ich9'/>",
      "<channel type='unix'><target type='virtio' name='org.demo.0'/></channel>",
    ]) {
      writeFileSync(device, xml);
      await virsh.run("attach-device", domain, device, "--config");
    }
    await expectSettled();
    const { all } = await succeed("resize", "alpha", "--memory", "300", "--yes");
    expect(all).toContain("DROPS what was added by hand: sound, channel org.demo.0");
    expect(await virsh.run("dumpxml", domain)).not.toMatch(/<sound|org\.demo/);
  });

  test("undefined while it runs, is refused until the doctor has defined it again, and is removed all the same", async () => {
    await virsh.run("start", domain);
    await virsh.run("undefine", domain);
    const says = `${domain}: must be defined on its host, but only runs there (virsh undefine): it is gone when it stops`;
    expect((await succeed("plan")).all).toContain(says);
    await refuse(says, "resize", "alpha", "--memory", "320", "--yes");
    expect((await succeed("doctor", "--fix")).all).toContain(`fixed    VMs: ${says}`);
    await expectSettled();
    await virsh.run("undefine", domain);
    await succeed("stop", "alpha", "--force");
    await succeed("apply", "--yes");
    expect(await domains()).toBe(domain);
    await expectData();
  });

  test("paused, resumes before it is shut down", async () => {
    await virsh.run("start", domain);
    await virsh.run("suspend", domain);
    const resumed = virsh.run("event", domain, "--event", "lifecycle", "--timeout", "30");
    await succeed("stop", "alpha", "--timeout", "2");
    expect(await resumed).toContain("Resumed");
  });
});

test("a restore keeps a VM that starts with its host from that only as long as it lasts", async () => {
  await virsh.run("autostart", domain);
  await succeed("snapshot", "create", "alpha", "first");
  await succeed("snapshot", "restore", "alpha", "first");
  expect(await autostarted()).toBe(domain);
  await virsh.run("autostart", domain, "--disable");
  await expectData();
});

describe("a stack", () => {
  test("that was renamed says what its VMs are called, and has its name back without a change", async () => {
    expectSuccess(await checkout.pulumi("stack", "rename", "renamed"));
    const back = "pulumi stack rename local --stack renamed";
    await refuse(`give it that name back, which changes no VM: \`${back}\``, "plan", "--stack", "renamed");
    await execa("pulumi", back.split(" ").slice(1), { cwd: checkout.dir, env: checkoutEnvironment(checkout.dir) });
    await expectSettled();
  });

  test("whose state was lost removes no VM that it does not know, and says so, until it has adopted it", async () => {
    rmSync(path.join(checkout.dir, ".local/state/.pulumi"), { recursive: true });
    configure({});
    const says = `alpha: its VM (shut off) is on the host and stays: it is not in this stack's state;`;
    expect((await succeed("apply", "--yes")).all).toContain(says);
    expect(await domains()).toBe(domain);
    configure({ alpha: {} });
    await succeed("apply", "--yes");
    configure({});
    expect((await succeed("apply", "--yes")).all).toContain("alpha: VM removed, data kept");
    expect(await domains()).toBe("");
    await expectData();
  });
});

test("a VM that was undefined with all its storage comes back by `project-vm apply`, without its data", async () => {
  configure({ alpha: {} });
  await succeed("apply", "--yes");
  await virsh.run("undefine", domain, "--remove-all-storage");
  expect(existsSync(disk)).toBe(false);
  await succeed("apply", "--yes");
  expect([await domains(), existsSync(disk)]).toEqual([domain, true]);
  await expectSettled();
});
