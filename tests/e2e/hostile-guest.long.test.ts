import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { parseNetwork } from "../../src/libvirt/libvirt-xml.ts";
import { virshFor } from "../../src/libvirt/virsh.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { HostileAgent, type HostileMode } from "./support/hostile-agent.ts";
import { ProjectVmTool, readDisk, succeed } from "./support/project-data.ts";

const checkout = new Checkout("hostile-guest");
const tool = new ProjectVmTool(checkout);
const agent = new HostileAgent(checkout, "demo");
const settings = { cpus: 1, disk: "2 GiB", rootDisk: "12 GiB" };

/** It would be there if anything that the guest says were run on this machine. */
const canary = path.join(checkout.dir, "canary");

/** The longest that any verb may take while its guest does what it likes, in seconds; the machine may be busy. */
const limitSeconds = 180;

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(checkout.host, console.error);
  checkout.configure({ defaults: { ...settings, memory: "1 GiB" }, projects: { demo: {} } });
  expectSuccess(await checkout.pulumi("stack", "init"));
  expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview"));
  own = await ownAddress();
  await agent.install();
});
afterEach(() => expect(existsSync(canary)).toBe(false));
afterAll(() => checkout.remove());

/** What its network has reserved for it. */
let own: string;
async function ownAddress(): Promise<string> {
  const { reservations } = parseNetwork(await virshFor(checkout.host.uri).run("net-dumpxml", "project-vms"));
  return reservations.find(({ name }) => name === "project-demo")?.ip ?? "";
}

/** What would act on a terminal; lines of ssh itself end with a carriage return. */
const acting = /(?!\n|\r\n)[\p{Cc}\p{Cf}]/u;

/** Runs a verb, which ends in time and prints nothing that would act. */
async function run(...args: string[]) {
  const started = Date.now();
  const result = await tool.run(...args);
  expect((Date.now() - started) / 1000, args.join(" ")).toBeLessThan(limitSeconds);
  expect(result.all.match(acting), result.all).toBeNull();
  expect(result.all).not.toMatch(/^READY/m);
  return result;
}

/** What SSH goes to is not known any more: the next `ssh` asks the guest. */
const forgetAddress = () => rmSync(path.join(checkout.dir, ".local/ssh/local/targets.json"), { force: true });

/** Long lines of a guest within a failure are broken, with a mark: behind a blank, which stays, or within a long word. */
const unbroken = (text: string) => text.replaceAll(/\n *\| /g, "");

const noAddress = /ip-address: must (be an IP address|have at most 64 characters); it says:/;

/** The worst that a guest can answer, its own address where none is named, and what `ssh` says then, and `start --wait`, unless it may wait for a better answer. */
const worst: [what: string, mode: HostileMode, address: string | undefined, says: RegExp, waits?: "waits"][] = [
  ["an option of ssh behind a line break", "", `10.77.0.66\n  ProxyCommand touch ${canary}`, noAddress],
  ["an option of ssh", "", `-oProxyCommand=touch ${canary}`, noAddress],
  ["a shell's command in a zone", "", `fe80::1%$(touch ${canary})`, noAddress],
  ["the host's own address", "", "10.77.0.1", /must tell an address/, "waits"],
  ["escapes as an address", "", "\u001b]0;owned\u0007\u001b[2JREADY demo", noAddress],
  ["no list of interfaces", "null", "", /guest-network-get-interfaces: must be a list, but is null/],
  ["an address of 9 MB", "huge", "", /guest agent of project-demo/, "waits"],
  ["an address of 3 MB", "large", "", /guest-network-get-interfaces 0 ip-addresses 0 ip-address: must have at most 64/],
  ["invalid UTF-8", "badutf8", "", /guest agent of project-demo|must tell an address/, "waits"],
  ["a key that is none", "lie", undefined, /SSH host keys: must be a public key/],
  ["a program's output of 2 MB", "largeexec", undefined, /must have at most 1048576 bytes/],
];

describe("a guest whose root has replaced its agent", () => {
  test.each(worst)("answers %s, and all verbs end, and nothing of it is run", async (_, mode, address, says, waits) => {
    await agent.setAddress(address ?? own);
    await agent.setMode(mode);
    for (const verb of [["status", "demo"], ["list"], ["logs", "demo", "--lines", "50"]]) {
      expect(await run(...verb)).toMatchObject({ exitCode: 0 });
    }
    forgetAddress();
    const ssh = await run("ssh", "demo", "--", "hostname");
    expect(ssh.all).toMatch(says);
    expect(ssh.exitCode).toBe(1);
    if (waits) return;
    const start = await run("start", "demo", "--wait");
    expect(unbroken(start.all)).toMatch(says);
    expect(start.all).toContain("project-demo is not ready: stage ");
    expect(start.exitCode).toBe(1);
  });

  test("never ends a program, and is not waited for", async () => {
    await agent.setAddress(own);
    await agent.setMode("never");
    forgetAddress();
    const { exitCode, all } = await run("ssh", "demo", "--", "hostname");
    expect(all).toContain("/bin/sh has not ended after 30 s");
    expect(exitCode).toBe(1);
    expect((await run("doctor")).all).not.toContain("failure");
    expect((await run("list")).exitCode).toBe(0);
  });

  test("prints escapes on its console, which do nothing in its logs, wherever they are cut", async () => {
    await checkout.ssh(
      "demo",
      "printf '\\033]0;owned\\007\\033[2J\\033[32mREADY\\033[0m\\n' | sudo tee /dev/ttyS0 >/dev/null",
    );
    await expect
      .poll(async () => (await run("logs", "demo", "--lines", "5")).all)
      .toContain("\\x1b]0;owned\\x07\\x1b[2JREADY");
    const { lines } = JSON.parse((await run("logs", "demo", "--json")).stdout) as { lines: string[] };
    expect(lines.join("\n")).toContain("\u001b]0;owned\u0007");
  });

  test("fails an update by what it says, in which nothing acts", async () => {
    await agent.setMode("escape");
    checkout.configure({ defaults: { ...settings, memory: "1.25 GiB" }, projects: { demo: {} } });
    const { exitCode, all } = await checkout.pulumi("up", "--yes", "--skip-preview");
    expect(exitCode, all).not.toBe(0);
    expect(all).toContain("project-demo is not ready: stage disk failed");
    expect(unbroken(all)).toContain("\\x1b]0;owned-by-guest\\x07\\x1b[2J\\x1b[1;1HREADY demo 3s  ssh -F /evil");
    expect(all).not.toContain("\u001b]0;");
    expect(all).not.toMatch(/^\s*READY/m);
  });

  test("is a VM like any other once the right agent is back", async () => {
    // It is booting: the update that failed restarted it.
    await expect
      .poll(() => agent.remove().then(() => "removed", String), { timeout: 300_000, interval: 2000 })
      .toBe("removed");
    expectSuccess(await checkout.pulumi("up", "--yes", "--skip-preview"));
    await succeed(tool.run("start", "demo", "--wait"));
    forgetAddress();
    expect(await tool.run("ssh", "demo", "--", "hostname")).toMatchObject({ exitCode: 0, stdout: "project-demo" });
  });
});

describe("a guest that keeps everybody waiting", () => {
  const asRoot = (script: string) => checkout.ssh("demo", `sudo sh -c '${script}'`);

  test("by an SSH server that takes a connection and says nothing, is given up", async () => {
    const silence = "import socket, time; server = socket.create_server((str(), 22)); time.sleep(90)";
    await asRoot("systemd-run --quiet --on-active=120 --timer-property=AccuracySec=1s systemctl start ssh");
    await asRoot(
      `systemctl stop ssh.socket ssh; systemd-run --quiet python3 -c "${silence}"; until ss -ltn | grep -q ":22 "; do sleep 0.2; done`,
    );
    for (const verb of [
      ["ssh", "demo", "--", "true"],
      ["cp", "demo:x", checkout.dir],
    ])
      expect(await run(...verb)).toMatchObject({ exitCode: 255, all: expect.stringMatching(/timed out/i) });
    await expect.poll(() => asRoot("echo back").catch(String), { timeout: 240_000, interval: 2000 }).toBe("back");
  });

  test("by an agent that is not there, is given up", async () => {
    await asRoot("systemctl stop qemu-guest-agent");
    const { exitCode, all } = await run("exec", "demo", "--", "true");
    expect([exitCode, all]).toEqual([1, expect.stringContaining("must have a guest agent that answers")]);
    await asRoot("systemctl start qemu-guest-agent");
  });

  test("when it is to stop, has its power cut, and its disk is whole", async () => {
    await asRoot("echo precious > /home/dev/project/work; sync; mkdir -p /run/systemd/logind.conf.d");
    await asRoot('printf "[Login]\\nHandlePowerKey=ignore\\n" > /run/systemd/logind.conf.d/deaf.conf');
    await asRoot("systemctl reload systemd-logind; systemctl stop qemu-guest-agent");
    const { exitCode, all } = await run("stop", "demo", "--timeout", "20");
    expect([exitCode, all]).toEqual([
      0,
      expect.stringContaining("project-demo: did not shut down within 20 s; its power is cut"),
    ]);
    expect(readDisk(path.join(checkout.host.storageDir, "demo/project.qcow2"), "work").text).toBe("precious");
  });

  test("when it is to go, goes all the same, and its disk stays", async () => {
    await run("start", "demo");
    checkout.configure({ defaults: { ...settings, memory: "1.25 GiB" }, projects: {} });
    const started = Date.now();
    // It is booting, and hears nothing yet.
    expectSuccess(await checkout.pulumi("destroy", "--yes", "--skip-preview"));
    expect((Date.now() - started) / 1000).toBeLessThan(limitSeconds);
    expect(readdirSync(path.join(checkout.host.storageDir, "demo"))).toEqual(["project.qcow2"]);
  });
});
