import { existsSync, mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheFolder } from "../../toolchain/ensure/places.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { OffStack } from "./support/off-stack.ts";

/** As Jenkins names its workspaces, and as people name their folders. */
const stack = new OffStack("50% of Büro 'A'");
const { checkout } = stack;
const { dir, host, virsh } = checkout;
const elsewhere = path.join(dir, ".local/other backend");
const umask = process.umask();
/** Before the stack has one of its own for its image: the toolchain is there. */
const cache = path.resolve(cacheFolder(), "../..");

/** `project-vm` as a user runs it there. */
async function run(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { exitCode, all, stdout } = await execa(path.join(dir, "bin/project-vm"), args, {
    cwd: dir,
    all: true,
    reject: false,
    stdin: "ignore",
    env: { XDG_CACHE_HOME: cache, ...env },
  });
  expect(exitCode, all).toBe(0);
  return stdout;
}

/** Whether the host's QEMU, which is another user there, gets at all files of a VM. */
async function expectStarts(project: string): Promise<void> {
  await virsh.run("start", `project-${project}`);
  await virsh.run("destroy", `project-${project}`);
}

beforeAll(async () => {
  process.umask(0o077);
  await stack.begin();
}, 120_000);
afterAll(async () => {
  process.umask(umask);
  await stack.remove();
});

describe("in a checkout whose path has a percent sign, blanks, quotes and other letters, of a user who shares nothing", () => {
  test("an update makes VMs whose files are nobody else's and QEMU's all the same; the next one changes nothing", async () => {
    expect(statSync(stack.disk("alpha")).mode & 0o077).toBe(0);
    await expectStarts("alpha");
    expect(await run(["plan"])).toBe("nothing changes");
    expect(JSON.parse(await run(["list", "--json"]))).toMatchObject([{ name: "alpha" }]);
  });

  test("a storage folder with other letters: VMs come and go, a smaller disk is refused, the data is kept", async () => {
    const storageDir = path.join(host.dir, "Büro/vms");
    const configure = (projects: object) =>
      checkout.configure({ ...stack.basics(), host: { uri: host.uri, storageDir }, projects });
    const disk = path.join(storageDir, "beta/project.qcow2");
    stack.configure({});
    expectSuccess(await stack.up());
    // What the refusal of another storage folder names as the remedy.
    for (const verb of ["pool-destroy", "pool-undefine"]) await virsh.run(verb, "project-vms-base");
    configure({ beta: {} });
    expectSuccess(await stack.up());
    expect(existsSync(disk)).toBe(true);
    await expectStarts("beta");
    configure({ beta: { disk: "32 MiB" } });
    expect((await stack.up()).all).toMatch(/projects\.beta\.disk: .*must be .*64 MiB/s);
    configure({});
    expectSuccess(await stack.up());
    expect(existsSync(disk)).toBe(true);
    await stack.expectData();
    for (const verb of ["pool-destroy", "pool-undefine"]) await virsh.run(verb, "project-vms-base");
  });
});

describe("with the state in a backend that was chosen by a variable", () => {
  const env = {
    PULUMI_BACKEND_URL: `file://${encodeURI(elsewhere)}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: path.join(dir, ".local/passphrase"),
  };

  test("what is to go with its VM stays when its user says so at the end", async () => {
    mkdirSync(elsewhere, { recursive: true });
    stack.configure({ alpha: {}, gamma: { keepData: false } });
    await run(["apply", "--yes"], env);
    await run(["destroy", "gamma", "--keep-data", "--yes"], env);
    expect(await stack.domains()).toEqual(["project-alpha"]);
    expect(existsSync(stack.disk("gamma"))).toBe(true);
    await stack.expectData();
  });
});
