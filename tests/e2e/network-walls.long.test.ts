import { readFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { macAddress } from "../../src/core/names.ts";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { parseNetwork } from "../../src/libvirt/libvirt-xml.ts";
import { withXmlFile } from "../../src/libvirt/xml-file.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { Neighbour } from "./support/neighbour.ts";
import { pidInside } from "./support/process-inside.ts";

// One guest, whose root is hostile; beside it, at the same bridge, a neighbour that hears all that gets through.
const checkout = new Checkout("network-walls");
const { host, virsh } = checkout;
const attack = readFileSync(path.join(import.meta.dirname, "support/raw-frames.py"), "utf8");
const gateway = "10.77.0.1";
const theirs = "10.77.0.250";
const second = "10.77.0.251";
let neighbour: Neighbour;
let own: string;
let bridge: string;

const onHost = (...command: string[]) => execa("nsenter", [`--net=${host.netns}`, ...command]);
const up = () => checkout.pulumi("up", "--yes", "--skip-preview");
const inGuest = (command: string, input?: string) => checkout.ssh("evil", command, input);
const bootId = () => inGuest("cat /proc/sys/kernel/random/boot_id");
const reservations = async () => parseNetwork(await virsh.run("net-dumpxml", "project-vms")).reservations;

/** The guest's interface on the network. */
const nicOfGuest = async () => (await inGuest(`ip -o route get ${gateway}`)).match(/ dev (\S+)/)?.[1] ?? "";

/** What the neighbour hears of an attack, and what was sent. */
async function attacked(round: string): Promise<{ sent: string[]; heard: string[] }> {
  const nic = await nicOfGuest();
  let sent: string[] = [];
  const heard = await neighbour.hears(round, async () => {
    const output = await inGuest(`sudo python3 - ${nic} ${own} ${theirs} ${gateway} ${round}`, attack);
    sent = [...new Set(output.split("\n"))];
  });
  return { sent, heard: heard.sort() };
}
const fair = ["fair-arp", "fair-dhcp", "fair-ipv4", "fair-probe"];

/** Whether the guest gives answers for an address that it has taken. */
async function answersFor(address: string): Promise<boolean> {
  const nic = await nicOfGuest();
  await inGuest(`sudo ip address add ${address}/24 dev ${nic}`);
  try {
    return await neighbour.reaches(address, 22);
  } finally {
    await inGuest(`sudo ip address del ${address}/24 dev ${nic}`);
  }
}

/** The spanning tree as the bridge sees it: a guest that is believed to be its root changes both. */
async function tree(): Promise<string> {
  const { stdout } = await onHost("ip", "-details", "-json", "link", "show", bridge);
  const { forward_delay, root_path_cost } = JSON.parse(stdout)[0].linkinfo.info_data;
  return `delay ${forward_delay}, cost ${root_path_cost}`;
}

/** Whether the bridge believes that the guest is who it is not: the sender of frames for bridges themselves. */
async function isTakenIn(): Promise<boolean> {
  const { stdout } = await onHost("bridge", "fdb", "show", "br", bridge);
  return stdout.includes("52:54:00:ba:db:ad");
}

/** Whether the bridge believes what guests say, as those of networks did that were made before. */
async function beCredulous(state: boolean): Promise<void> {
  const setting = ["type", "bridge", "stp_state", state ? "1" : "0", "no_linklocal_learn", state ? "0" : "1"];
  await onHost("ip", "link", "set", bridge, ...setting);
}

/** As a VM is that was made before there were filters. */
async function withoutFilter(): Promise<void> {
  for (const [where, ...inactive] of [["--config", "--inactive"], ["--live"]]) {
    const xml = await virsh.run("dumpxml", "project-evil", ...inactive);
    const nic = /<interface.*?<\/interface>/s.exec(xml)?.[0].replace(/<filterref.*?\/>/s, "") ?? "";
    await withXmlFile(nic, (file) => virsh.run("update-device", "project-evil", file, where ?? ""));
  }
  await virsh.run("nwfilter-undefine", "project-evil");
}

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(host, console.error);
  const small = { memory: "1 GiB", cpus: 1, disk: "1 GiB", rootDisk: "8 GiB" };
  checkout.configure({ defaults: small, projects: { evil: {} } });
  for (const step of [() => checkout.pulumi("stack", "init"), up]) expectSuccess(await step());
  own = (await checkout.outputs()).projects.evil?.addresses[0] ?? "";
  bridge = parseNetwork(await virsh.run("net-dumpxml", "project-vms")).bridge ?? "";
  neighbour = await Neighbour.start(host, path.join(checkout.dir, ".neighbour"), bridge, `${theirs}/24`);
}, 900_000);
afterAll(async () => {
  await neighbour?.remove();
  await checkout.remove();
});

describe("a guest whose root is hostile", () => {
  test("has the address that is reserved for it, and its name with it", async () => {
    expect(await reservations()).toEqual([{ mac: macAddress("evil"), ip: own, name: "project-evil" }]);
    await expect(virsh.run("nwfilter-list")).resolves.toContain("project-evil");
  });

  test("sends in its own name, and nothing in another's", async () => {
    const { sent, heard } = await attacked("walled");
    expect(sent).toHaveLength(53);
    expect(heard).toEqual(fair);
  });

  test("is no bridge, and nobody else, whatever it tells the bridge", async () => {
    expect([await tree(), await isTakenIn()]).toEqual(["delay 0, cost 0", false]);
  });

  test("does not answer for a second address", async () => {
    expect(await neighbour.reaches(own, 22)).toBe(true);
    expect(await answersFor(second)).toBe(false);
  });

  test("keeps its address over a new lease, and over a new libvirtd", async () => {
    await inGuest(`sudo networkctl renew ${await nicOfGuest()}`);
    process.kill(pidInside(host, "libvirtd"), "SIGKILL");
    await expect.poll(() => virsh.run("domstate", "project-evil").catch(() => ""), { timeout: 60_000 }).toBe("running");
    expect(await inGuest(`ip -o route get ${gateway}`)).toContain(`src ${own}`);
    expect((await attacked("restarted")).heard).toEqual(fair);
  });

  test("from before there were filters did all of that, and gets one with the next update, without a restart", async () => {
    const [before, qemu] = [await bootId(), pidInside(host, "qemu-system-x86")];
    await withoutFilter();
    await beCredulous(true);
    const { sent, heard } = await attacked("open");
    // This one alone is taken apart by the host's own netfilter.
    expect(heard).toEqual(sent.filter((name) => name !== "dhcp-offer-fragments").sort());
    expect(await tree()).toMatch(/^delay 3000, cost [1-9]/);
    expect(await isTakenIn()).toBe(true);
    await beCredulous(false);
    expect(await answersFor(second)).toBe(true);

    const { all, exitCode } = await checkout.pulumi("preview");
    expect(exitCode, all).toBe(0);
    expect(all).toContain("evil: no restart, network filter added, data kept");
    expectSuccess(await up());
    expect((await attacked("again")).heard).toEqual(fair);
    expect(await answersFor(second)).toBe(false);
    expect(await virsh.run("dumpxml", "project-evil", "--inactive")).toContain("<filterref filter='project-evil'/>");
    expect([await bootId(), pidInside(host, "qemu-system-x86")]).toEqual([before, qemu]);
    expect((await checkout.pulumi("preview", "--expect-no-changes")).exitCode).toBe(0);
  });

  test("leaves neither filter nor reservation behind when it goes", async () => {
    checkout.configure({ projects: {} });
    expectSuccess(await up());
    expect(await reservations()).toEqual([]);
    await expect(virsh.run("nwfilter-list")).resolves.toBe("");
  });
});
