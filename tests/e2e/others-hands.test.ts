import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkoutEnvironment } from "../../src/checkout/checkout.ts";
import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { embeddedHostFor } from "../../src/libvirt/embedded-layout.ts";
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
const bin = path.resolve("bin/project-vm");
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

  test("without the pool of the base images, has it again by a plain up, and all its data", async () => {
    await virsh.run("pool-destroy", "project-vms-base");
    await virsh.run("pool-undefine", "project-vms-base");
    expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview"));
    expect(await virsh.run("pool-info", "project-vms-base")).toMatch(/State: +running/);
    await expectData();
    expectSuccess(await checkout.pulumi("preview", "--expect-no-changes"));
  });

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

  test("without its project disk, which they detached, has it again by the next update, which says so", async () => {
    await virsh.run("detach-disk", domain, "vdb", "--config");
    expect((await tool.run("doctor")).all).toContain(`${domain} has nothing as vdb from its next start on: ${disk}`);
    expect((await succeed("plan")).stdout).toBe("alpha: stays shut off (project disk attached again), data kept");
    await succeed("apply", "--yes");
    expect(await virsh.run("domblklist", domain)).toMatch(new RegExp(`^ *vdb +${disk}$`, "m"));
    await expectData();
    await expectSettled();
  });

  test("undefined after an external snapshot, is not defined on its old disks, until what was written since is back in them", async () => {
    const folder = path.dirname(disk);
    const specs = ["vda", "vdb"].flatMap((name) => ["--diskspec", `${name},snapshot=external`]);
    await virsh.run(...["snapshot-create-as", domain, "s1", "--disk-only", "--atomic", ...specs]);
    await writeMarker(path.join(folder, "project.s1"), marker + 1);
    await refuse("blockcommit project-alpha vdb", "snapshot", "create", "alpha", "x");
    await virsh.run("undefine", domain, "--snapshots-metadata");
    for (const args of [
      ["apply", "--yes"],
      ["backup", "alpha"],
      ["snapshot", "create", "alpha", "x"],
    ])
      await refuse("must have no overlay, but ", ...args);
    const { all } = await checkout.pulumi("up", "--yes", "--skip-preview");
    const commits = [...new Set(all.match(/qemu-img commit -b \S+ [^\s;]+/g))];
    expect(commits).toHaveLength(2);
    for (const command of commits) {
      await execa("sh", ["-c", command]);
      rmSync(command.split(" ").at(-1) ?? "");
    }
    await succeed("apply", "--yes");
    await expectMarker(disk, marker + 1);
    await writeMarker(disk, marker);
    await expectSettled();
  });

  test("with another file named in its project disk's header, as QEMU's user can write it, is not given that file", async () => {
    const secret = path.join(checkout.dir, "root-only");
    writeFileSync(secret, Buffer.alloc(4096), { mode: 0o600 });
    await execa("qemu-img", ["rebase", "-u", "-F", "raw", "-b", secret, disk]);
    try {
      await virsh.run("start", domain, "--paused");
      const running = await virsh.run("dumpxml", domain);
      await virsh.run("destroy", domain);
      expect(running).toContain(disk);
      expect(running).not.toContain(secret);
    } finally {
      await execa("qemu-img", ["rebase", "-u", "-b", "", disk]);
    }
    await expectSettled();
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

describe("a checkout that was moved", () => {
  const moved = `${checkout.dir}-moved`;
  const movedHost = embeddedHostFor(moved);
  const there = { cwd: moved, all: true, reject: false } as const;
  const inMoved = (...args: string[]) => execa(bin, args, { ...there, stdin: "ignore" });
  const make = (answer: string, ...args: string[]) =>
    execa("make", args, { ...there, input: answer, env: checkoutEnvironment(moved) });
  const isLost = `${host.dir} is the embedded host of ${checkout.dir}, which is not there any more`;

  beforeAll(async () => {
    await writeMarker(disk, marker);
    renameSync(checkout.dir, moved);
  });
  afterAll(async () => {
    await stopEmbeddedHost(movedHost, () => undefined);
    await wipeEmbeddedHost(movedHost);
    rmSync(moved, { recursive: true, force: true });
  });

  test("is reported by every look, with its host and what can be done", async () => {
    expect((await inMoved("list")).all).toContain(isLost);
    const told = `this checkout was moved: its VMs are on the embedded host of ${checkout.dir}`;
    expect((await inMoved("doctor")).all).toContain(told);
    expect((await inMoved("start", "alpha")).all).toContain(told);
    await startEmbeddedHost(movedHost, () => undefined);
    const { all } = await inMoved("plan");
    expect(all).toContain("alpha: new VM, new project disk of 64 MiB");
    expect(all).toContain(`alpha: a new project disk, though there is one of that name: ${disk}. ${isLost}; it runs`);
  });

  test("stops that host when asked to, and has its VMs again when it is put back", async () => {
    expectSuccess(await make("", "down", `GONE=${checkout.dir}`));
    expect((await inMoved("list")).all).toContain(`${isLost}; it is stopped`);
    renameSync(moved, checkout.dir);
    await startEmbeddedHost(host, () => undefined);
    await expectSettled();
    await expectData();
    renameSync(checkout.dir, moved);
  });

  test("removes that host, with all its disks, only after a yes", async () => {
    const clean = ["clean", `GONE=${checkout.dir}`];
    expect((await make("no\n", ...clean)).all).toContain("Nothing was removed.");
    await expectData();
    expectSuccess(await make("yes\n", ...clean));
    expect(existsSync(host.dir)).toBe(false);
    expect((await inMoved("list")).all).not.toContain(isLost);
  });
});
