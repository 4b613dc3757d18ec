import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { withXmlFile } from "../../src/libvirt/xml-file.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { pulumiInterruptedAt, pulumiKilledAt } from "./support/killed-pulumi.ts";
import { sizeOf } from "./support/marker.ts";
import { OffStack } from "./support/off-stack.ts";
import { pidInside } from "./support/process-inside.ts";

const stack = new OffStack("interrupted");
const { checkout } = stack;
const { host, virsh } = checkout;

const up = () => stack.up();
const destroy = () => checkout.pulumi("destroy", "--yes", "--skip-preview");
const expectNoChanges = async (...flags: string[]) =>
  expectSuccess(await checkout.pulumi("preview", "--expect-no-changes", ...flags));

afterAll(() => stack.remove());

/** After a kill: the lock is released, and the same command again does the rest. */
async function again(run: () => ReturnType<typeof up>) {
  expectSuccess(await checkout.pulumi("cancel", "--yes"));
  expectSuccess(await run());
}

describe("an up that is killed", () => {
  beforeEach(() => stack.begin({ alpha: {}, old: {} }));

  test.each([
    [1, "when it has made a new project's disk", /beta-projectDisk created/],
    [2, "before it makes a root again", /alpha-rootDisk creating replacement/],
    [3, "when it has made a root again", /alpha-rootDisk created replacement/],
    [4, "while it defines a domain again", /alpha-domain creating replacement/],
    [5, "while it grows a disk", /alpha-settings updating/],
  ])("moment %i: %s, is finished by the next one, and nothing is lost", async (_, __, moment) => {
    // An edit of all kinds at once: a new VM, one that goes, and for the other one memory, a new root, a bigger disk.
    stack.configure({ alpha: { memory: "272 MiB", rebuild: "again", disk: "80 MiB" }, beta: {} });
    await pulumiKilledAt(checkout.dir, moment, "up", "--yes", "--skip-preview");
    await stack.expectData();
    await again(up);
    await stack.expectData();
    expect(await sizeOf(stack.disk("alpha"))).toBe(80);
    expect(await stack.domains()).toEqual(["project-alpha", "project-beta"]);
    expect(await virsh.run("dominfo", "project-alpha")).toContain(`${272 * 1024} KiB`);
    await expectNoChanges();
  });
});

describe("a destroy that is killed", () => {
  beforeEach(() => stack.begin({ alpha: { disk: "144 MiB", keepData: true }, gone: { keepData: false } }));

  test.each([
    ["before it takes anything away", /alpha-settings deleting/],
    ["when it has let go of a domain", /alpha-domain deleted/],
    ["while a VM is taken away", /alpha-teardown deleting/],
    ["when a VM was taken away", /(alpha|gone)-teardown deleted/],
    ["while the network is taken away", /networkTeardown deleting/],
  ])("%s, is finished by the next one, and keeps what is to be kept", async (_, moment) => {
    await pulumiKilledAt(checkout.dir, moment, "destroy", "--yes", "--skip-preview");
    await again(destroy);
    expect(await stack.domains()).toEqual([]);
    expect((await virsh.run("net-list", "--all", "--name")).trim()).toBe("");
    expect(await readdir(path.dirname(stack.disk("alpha")))).toEqual(["project.qcow2"]);
    await stack.expectData();
    expect(existsSync(path.dirname(stack.disk("gone")))).toBe(false);
    expectSuccess(await up());
    await stack.expectData();
  });
});

test("an up after a destroy that was killed with the network stopped and still defined has it again", async () => {
  await stack.begin();
  const network = await virsh.run("net-dumpxml", "project-vms", "--inactive");
  expectSuccess(await destroy());
  await withXmlFile(network, (file) => virsh.run("net-define", file));
  expectSuccess(await up());
  expect((await virsh.run("net-list", "--name")).trim()).toBe("project-vms");
  await stack.expectData();
  await expectNoChanges();
});

describe("an up that waits for a guest", () => {
  beforeEach(() => stack.begin());
  afterEach(() => checkout.setProgram({ running: false }));

  test("ends within 20 seconds after Ctrl-C, and the next one goes on from there", async () => {
    // There is no system on the tiny image, so nobody ever answers.
    checkout.setProgram({ running: true });
    stack.configure({ alpha: {}, silent: {} });
    const moment = /project-silent: waiting for boot/;
    const ended = await pulumiInterruptedAt(checkout.dir, moment, "up", "--yes", "--skip-preview");
    expect(ended.exitCode, ended.output).not.toBe(0);
    expect(ended.milliseconds).toBeLessThan(20_000);
    expect(await virsh.run("domstate", "project-silent")).toContain("running");
    await virsh.run("destroy", "project-silent");
    stack.configure({ alpha: {} });
    expectSuccess(await up());
    expect(await stack.domains()).toEqual(["project-alpha"]);
    await stack.expectData();
    await expectNoChanges();
  });
});

describe("two ups at once", () => {
  beforeEach(async () => {
    await stack.begin();
    expectSuccess(await destroy());
  });

  const lockOf = () => stack.stateFiles().find((file) => /^locks\/.*\.json$/.test(file));

  test("one does it, the other, begun while it works, says who holds the stack, and nothing is lost", async () => {
    const first = up();
    await expect.poll(lockOf, { timeout: 30_000, interval: 20 }).toBeDefined();
    expect((await up()).all).toContain("the stack is currently locked by 1 lock(s)");
    expectSuccess(await first);
    await stack.expectData();
    await expectNoChanges();
  });

  test("begun in the same moment they do not both do it, the next one does the rest, and nothing is lost", async () => {
    const both = await Promise.all([up(), up()]);
    const refused = both.filter(({ exitCode }) => exitCode !== 0);
    // Each may find the lock of the other and yield; and a lock that is just being written is no JSON to the engine.
    expect(refused.length).toBeGreaterThan(0);
    for (const { all } of refused) expect(all).toMatch(/locked by 1 lock\(s\)|unexpected end of JSON input/);
    expectSuccess(await up());
    await stack.expectData();
    await expectNoChanges();
  });
});

describe("libvirtd killed in the middle of an up", () => {
  beforeEach(() => stack.begin());

  test("the up fails or goes on, the next one does the rest, and nothing is lost", async () => {
    stack.configure({ alpha: { disk: "192 MiB", memory: "300 MiB", rebuild: "again" } });
    const running = up();
    await expect.poll(() => virsh.run("dominfo", "project-alpha").catch(() => ""), { timeout: 60_000 }).toBeTruthy();
    process.kill(pidInside(host, "libvirtd"), "SIGKILL");
    await running;
    await expect.poll(() => virsh.run("uri").catch(() => ""), { timeout: 60_000 }).toContain("qemu");
    await stack.expectData();
    expectSuccess(await up());
    await stack.expectData();
    expect(await sizeOf(stack.disk("alpha"))).toBe(192);
    expect(await stack.domains()).toEqual(["project-alpha"]);
  });
});

describe("a stack of an earlier version, whose state names steps of an update where they were", () => {
  beforeEach(async () => {
    await stack.begin({ alpha: { keepData: true }, gone: { keepData: false } });
    await nameFormerSteps();
  });

  const former = {
    "src/steps/publish-base-image.ts": "images/main.ts",
    "src/steps/remove-network.ts": "vm/network-entry.ts",
    "src/steps/tear-down-vm.ts": "vm/teardown-entry.ts",
    "src/steps/wait-until-ready.ts": "guest/wait-until-ready.ts",
  };

  async function nameFormerSteps() {
    const file = path.join(checkout.dir, ".local/exported.json");
    expectSuccess(await checkout.pulumi("stack", "export", "--file", file));
    const state = readFileSync(file, "utf8");
    for (const step of ["remove-network", "tear-down-vm"]) expect(state).toContain(`'src/steps/${step}.ts'`);
    const before = Object.entries(former).reduce(
      (text, [now, then]) => text.replaceAll(`'${now}'`, `'${then}'`),
      state,
    );
    expect(before).not.toContain("src/steps/");
    writeFileSync(file, before);
    expectSuccess(await checkout.pulumi("stack", "import", "--file", file));
    rmSync(file);
  }

  test("its first update gives what takes VMs and network away its new path, and changes no VM", async () => {
    const definitions = () =>
      Promise.all(["project-alpha", "project-gone"].map((domain) => virsh.run("dumpxml", domain, "--inactive")));
    const before = await definitions();
    const preview = await checkout.pulumi("preview", "--json");
    expectSuccess(preview);
    const { steps } = JSON.parse(preview.stdout as string) as { steps: { op: string; urn: string }[] };
    const changed = steps.flatMap(({ op, urn }) => (op === "same" ? [] : [`${op} ${urn.split("::").at(-1)}`]));
    expect(changed.sort()).toEqual(["update alpha-teardown", "update gone-teardown", "update local-networkTeardown"]);
    expectSuccess(await up());
    expect(await definitions()).toEqual(before);
    await stack.expectData();
    await expectNoChanges();
  });

  test("a VM is removed and all is destroyed by them as ever, and what is to be kept is", async () => {
    stack.configure({ alpha: { keepData: true } });
    expectSuccess(await up());
    expect(await stack.domains()).toEqual(["project-alpha"]);
    expect(existsSync(path.dirname(stack.disk("gone")))).toBe(false);
    await nameFormerSteps();
    expectSuccess(await destroy());
    expect(await stack.domains()).toEqual([]);
    expect((await virsh.run("net-list", "--all", "--name")).trim()).toBe("");
    expect(await readdir(path.dirname(stack.disk("alpha")))).toEqual(["project.qcow2"]);
    await stack.expectData();
  });
});

describe("a domain that was undefined past the state", () => {
  beforeEach(() => stack.begin());

  test("is made again by a plain up, from the same disks", async () => {
    await virsh.run("undefine", "project-alpha");
    expect(expectSuccess(await up())).toContain("alpha: new VM, adopts its kept project disk");
    expect(await stack.domains()).toEqual(["project-alpha"]);
    await stack.expectData();
    await expectNoChanges("--refresh");
  });
});
