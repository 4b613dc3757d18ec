import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../host/embedded.ts";
import { Checkout } from "./support/checkout.ts";
import { pulumiKilledAt } from "./support/killed-pulumi.ts";
import { expectMarker, sizeOf, writeMarker } from "./support/marker.ts";
import { pidInside } from "./support/process-inside.ts";

const defaults = { memory: "256 MiB", cpus: 1, disk: "64 MiB", rootDisk: "8 GiB" };
const checkout = new Checkout("interrupted");
const { host, virsh } = checkout;
const disk = (project: string) => path.join(host.storageDir, project, "project.qcow2");
const domains = async () => (await virsh.run("list", "--all", "--name")).split("\n").filter(Boolean).sort();

const up = () => checkout.pulumi("up", "--yes", "--skip-preview");

beforeAll(async () => {
  await checkout.create({ running: false });
  await startEmbeddedHost(host, console.error);
  checkout.configure({ defaults, projects: { alpha: {} } });
  for (const step of [() => checkout.pulumi("stack", "init"), up]) {
    const { exitCode, all } = await step();
    expect(exitCode, all).toBe(0);
  }
  await writeMarker(disk("alpha"), 0xa1);
});
afterAll(() => checkout.remove());

/** After a kill: the lock is released, and the same command again does the rest. */
async function again(run: () => ReturnType<typeof up>) {
  const cancelled = await checkout.pulumi("cancel", "--yes");
  expect(cancelled.exitCode, cancelled.all).toBe(0);
  const { exitCode, all } = await run();
  expect(exitCode, all).toBe(0);
}

describe("an up that is killed", () => {
  // An edit of all kinds at once: a new VM, and for the other one memory, a new root, a bigger disk.
  const edit = (n: number) => ({
    alpha: { memory: `${256 + 16 * n} MiB`, rebuild: `round ${n}`, disk: `${64 + 16 * n} MiB` },
    [`beta${n}`]: {},
  });

  test.each([
    [1, "when it has made a new project's disk", /beta1-projectDisk created/],
    [2, "before it makes a root anew", /alpha-rootDisk creating replacement/],
    [3, "when it has made a root anew", /alpha-rootDisk created replacement/],
    [4, "while it defines a domain anew", /alpha-domain creating replacement/],
    [5, "while it grows a disk", /alpha-settings updating/],
  ])("moment %i: %s, is finished by the next one, and nothing is lost", async (n, _, moment) => {
    checkout.configure({ defaults, projects: edit(n) });
    await pulumiKilledAt(checkout.dir, moment, "up", "--yes", "--skip-preview");
    await expectMarker(disk("alpha"), 0xa1);
    await again(up);
    await expectMarker(disk("alpha"), 0xa1);
    expect(await sizeOf(disk("alpha"))).toBe(64 + 16 * n);
    expect(await domains()).toEqual(["project-alpha", `project-beta${n}`]);
    expect(await virsh.run("dominfo", "project-alpha")).toContain(`${(256 + 16 * n) * 1024} KiB`);
    const preview = await checkout.pulumi("preview", "--expect-no-changes");
    expect(preview.exitCode, preview.all).toBe(0);
  });
});

describe("a destroy that is killed", () => {
  const grown = { alpha: { disk: "144 MiB", keepData: true }, gone: { keepData: false } };

  test.each([
    ["before it takes anything away", /alpha-settings deleting/],
    ["when it has let go of a domain", /alpha-domain deleted/],
    ["while a VM is taken away", /alpha-teardown deleting/],
    ["when a VM was taken away", /(alpha|gone)-teardown deleted/],
    ["while the network is taken away", /networkTeardown deleting/],
  ])("%s, is finished by the next one, and keeps what is to be kept", async (_, moment) => {
    checkout.configure({ defaults, projects: grown });
    const made = await up();
    expect(made.exitCode, made.all).toBe(0);
    await expectMarker(disk("alpha"), 0xa1);
    await pulumiKilledAt(checkout.dir, moment, "destroy", "--yes", "--skip-preview");
    await again(() => checkout.pulumi("destroy", "--yes", "--skip-preview"));
    expect(await domains()).toEqual([]);
    expect((await virsh.run("net-list", "--all", "--name")).trim()).toBe("");
    expect(await readdir(path.dirname(disk("alpha")))).toEqual(["project.qcow2"]);
    await expectMarker(disk("alpha"), 0xa1);
    expect(existsSync(path.dirname(disk("gone")))).toBe(false);
  });
});

describe("two ups at once", () => {
  test("one does it, the other says who holds the stack, and nothing is lost", async () => {
    checkout.configure({ defaults, projects: { alpha: { disk: "144 MiB" } } });
    const both = await Promise.all([up(), up()]);
    expect(both.map(({ exitCode }) => exitCode).filter((code) => code === 0)).toHaveLength(1);
    const refused = both.find(({ exitCode }) => exitCode !== 0);
    expect(refused?.all).toContain("the stack is currently locked by 1 lock(s)");
    await expectMarker(disk("alpha"), 0xa1);
    const { exitCode, all } = await checkout.pulumi("preview", "--expect-no-changes");
    expect(exitCode, all).toBe(0);
  });
});

describe("libvirtd killed in the middle of an up", () => {
  test("the up fails or goes on, the next one does the rest, and nothing is lost", async () => {
    checkout.configure({ defaults, projects: { alpha: { disk: "192 MiB", memory: "300 MiB", rebuild: "again" } } });
    const running = up();
    await expect.poll(() => virsh.run("dominfo", "project-alpha").catch(() => ""), { timeout: 60_000 }).toBeTruthy();
    process.kill(pidInside(host, "libvirtd"), "SIGKILL");
    await running;
    await expect.poll(() => virsh.run("uri").catch(() => ""), { timeout: 60_000 }).toContain("qemu");
    await expectMarker(disk("alpha"), 0xa1);
    const { exitCode, all } = await up();
    expect(exitCode, all).toBe(0);
    await expectMarker(disk("alpha"), 0xa1);
    expect(await sizeOf(disk("alpha"))).toBe(192);
    expect(await domains()).toEqual(["project-alpha"]);
  });
});

describe("a domain that was undefined past the state", () => {
  test("is made again by a plain up, from the same disks", async () => {
    await virsh.run("undefine", "project-alpha");
    const { exitCode, all } = await up();
    expect(exitCode, all).toBe(0);
    expect(all).toContain("alpha: new VM, takes up its kept project disk");
    expect(await domains()).toEqual(["project-alpha"]);
    await expectMarker(disk("alpha"), 0xa1);
    expect((await checkout.pulumi("preview", "--refresh", "--expect-no-changes")).exitCode).toBe(0);
  });
});
