import { cpSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { openToNobody } from "./support/as-nobody.ts";
import { Checkout } from "./support/checkout.ts";
import { dockerArchive } from "./support/docker-archive.ts";
import { expectSuccess } from "./support/expect-success.ts";

const small = { defaults: { memory: "1 GiB", cpus: 1, disk: "2 GiB", rootDisk: "12 GiB" } };
const checkout = new Checkout("local-stack");
const { host, virsh } = checkout;
/** What alpha must keep: a file on its disk, and who it is. */
const work = () => checkout.ssh("alpha", "cat /home/dev/project/work /etc/ssh/ssh_host_ed25519_key.pub");

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(host, console.error);
});
afterAll(() => checkout.remove());

/** As a user who never set git up, in the checkout. */
const git = async (...args: string[]) =>
  (await execa("git", ["-c", "user.name=me", "-c", "user.email=me@vms.example", ...args], { cwd: checkout.dir }))
    .stdout;

/** Names of the domains on the host. */
const domains = async () => (await virsh.run("list", "--all", "--name")).split("\n").filter(Boolean).sort();

/** What tells one boot of a guest from another, and one domain from another. */
async function lifeOf(project: string) {
  const bootId = await checkout.ssh(project, "cat /proc/sys/kernel/random/boot_id");
  return { uuid: (await virsh.run("domuuid", `project-${project}`)).trim(), bootId };
}

describe("a stack on the embedded host", () => {
  test("a new clone gets its stack's file, which git does not keep", async () => {
    expect(readFileSync(path.join(checkout.dir, "Pulumi.local.yaml"), "utf8")).toContain("demo: {}");
    // git follows no link of that name.
    rmSync(path.join(checkout.dir, ".gitignore"));
    cpSync(path.resolve(".gitignore"), path.join(checkout.dir, ".gitignore"));
    await git("init", "--quiet");
    await git("add", "--all");
    await git("commit", "--quiet", "--message", "as cloned");
  });

  test("bad input fails at the preview, all mistakes at once, and nothing is made", async () => {
    checkout.configure({ ...small, projects: { Alpha: {}, beta: { memory: 8, cpuz: 2 } } });
    expectSuccess(await checkout.pulumi("stack", "init"));
    const { exitCode, all } = await checkout.pulumi("preview");
    expect(exitCode).not.toBe(0);
    expect(all).toContain("Pulumi.local.yaml: projects.Alpha");
    expect(all).toContain("Pulumi.local.yaml: projects.beta.memory: must have a unit");
    expect(all).toContain("Pulumi.local.yaml: projects.beta.cpuz");
    expect(all).not.toMatch(/^\s+at .*\.ts:\d+/m);
    expect(await domains()).toEqual([]);
    expect(existsSync(host.storageDir) ? await readdir(host.storageDir) : []).toEqual([]);
  });

  test("an empty map of projects is valid and makes no VM", async () => {
    checkout.configure({ ...small, projects: {} });
    const { exitCode, all } = await checkout.pulumi("preview");
    expect(exitCode, all).toBe(0);
    expect(all).toContain("Stack local has no projects yet");
  });

  test("an up ends when its VM is ready", async () => {
    checkout.configure({ ...small, projects: { alpha: {} } });
    expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview"));
    expect(await domains()).toEqual(["project-alpha"]);
    const { projects, instructions } = await checkout.outputs();
    expect(projects.alpha).toMatchObject({
      name: "alpha",
      state: "running",
      addresses: [expect.stringMatching(/^10\.77\.0\.\d+$/)],
      image: expect.stringMatching(/^debian-testing-[0-9a-f]{12}\.qcow2$/),
      disks: { root: `${host.storageDir}/alpha/disk.qcow2`, project: `${host.storageDir}/alpha/project.qcow2` },
      secondsToReady: expect.any(Number),
    });
    expect(instructions).toContain(projects.alpha?.ssh);
  });

  test("nobody of this machine can list or read anything of the host or of the checkout's state", () => {
    expect(openToNobody(host.dir, path.join(checkout.dir, ".local"))).toEqual([]);
    const modes = ["disk.qcow2", "project.qcow2", "seed.iso"].map((name) =>
      (statSync(path.join(host.storageDir, "alpha", name)).mode & 0o777).toString(8),
    );
    expect(modes).toEqual(["600", "600", "600"]);
  });

  test("a second up shows no change, also after a refresh", async () => {
    expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes"));
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));
    expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes"));
    expectSuccess(await checkout.pulumi("preview", "--expect-no-changes"));
  });

  test("in a guest the user, the host name, the disks and the tools are in order, without network", async () => {
    const ssh = (command: string) => checkout.ssh("alpha", command);
    expect(await ssh("whoami; hostname; sudo -n whoami")).toBe("dev\nproject-alpha\nroot");
    expect((await ssh("id -nG")).split(" ")).toEqual(expect.arrayContaining(["sudo", "docker"]));
    expect(await ssh("sudo passwd --status dev | cut -d ' ' -f 2; sudo passwd --status root | cut -d ' ' -f 2")).toBe(
      "L\nL",
    );
    expect(await ssh("findmnt --noheadings --output SOURCE,FSTYPE /home/dev/project")).toMatch(/^\/dev\/vdb +ext4$/);
    expect(await ssh("stat --format %U:%G /home/dev/project")).toBe("dev:dev");
    expect(Number(await ssh("df --output=size --block-size=1M / | tail -n 1"))).toBeGreaterThan(11_000);
    expect(await ssh("nix eval --expr '6 * 7'")).toBe("42");
    expect(await ssh("claude --version")).toMatch(/^\d+\.\d+\.\d+ \(Claude Code\)$/);
    expect(await ssh("tmux new-session -d -s work 'sleep 60' && tmux list-sessions -F '#S' && tmux kill-server")).toBe(
      "work",
    );
    expect(
      await ssh(
        "jq --version; git --version; curl --version | head -n 1; docker compose version || docker-compose version",
      ),
    ).toMatch(/^jq-/);
    await checkout.ssh("alpha", "docker load", await dockerArchive());
    expect(await ssh("docker run --rm --network none project-vms/hello 2>&1")).toBe("hello from a container");
  });

  test("make down leaves nothing running, and make up brings the same VMs back with files and identity", async () => {
    await checkout.ssh("alpha", "echo precious > /home/dev/project/work && sync");
    const before = await work();
    const { uuid, bootId } = await lifeOf("alpha");
    expectSuccess(await checkout.make("down"));
    expect(existsSync(host.netns)).toBe(false);
    expectSuccess(await checkout.make("down"));
    const { exitCode, all, stdout } = await checkout.make("up");
    expect(exitCode, all).toBe(0);
    const lastLine = String(stdout).trimEnd().split("\n").at(-1);
    expect(lastLine).toMatch(/^READY alpha \d+s {2}ssh -F \S+ project-alpha$/);
    expect(await lifeOf("alpha")).toEqual({ uuid, bootId: expect.not.stringMatching(bootId) });
    expect(await work()).toBe(before);
    expect(await git("status", "--porcelain")).toBe("");
  });

  test("a destroy leaves nothing on the host but the kept project disks", async () => {
    expectSuccess(await checkout.pulumi("destroy", "--yes", "--skip-preview"));
    expect(await domains()).toEqual([]);
    expect((await virsh.run("net-list", "--all", "--name")).trim()).toBe("");
    expect(await readdir(path.join(host.storageDir, "alpha"))).toEqual(["project.qcow2"]);
  });
});
