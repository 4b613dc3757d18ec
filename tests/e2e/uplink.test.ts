import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import YAML from "yaml";
import { killHost } from "../../src/embedded-host/embedded-process.ts";
import { userIdOf } from "../../src/embedded-host/embedded-users.ts";
import { embeddedHostFor } from "../../src/libvirt/embedded-layout.ts";
import { findProcesses } from "../../src/libvirt/embedded-look.ts";
import { parseNetwork } from "../../src/libvirt/libvirt-xml.ts";
import { virshFor } from "../../src/libvirt/virsh.ts";
import { withXmlFile } from "../../src/libvirt/xml-file.ts";
import { checkoutsFolder } from "../setup/places.ts";
import { addresses, Machine, privateAddresses } from "./support/machine.ts";
import { Neighbour } from "./support/neighbour.ts";

// An embedded host on a machine that is a namespace, with an internet that is another one. In place of a guest: a namespace at a
// port of its network's bridge.
const checkout = path.join(checkoutsFolder(), "uplink");
const host = embeddedHostFor(checkout);
const virsh = virshFor(host.uri);
let machine: Machine;
let guest: Neighbour;

const network = `<network>
  <name>project-vms</name>
  <forward mode="nat"/>
  <domain name="test.project-vms.internal" localOnly="yes"/>
  <ip address="10.77.0.1" prefix="24"><dhcp><range start="10.77.0.2" end="10.77.0.254"/></dhcp></ip>
</network>`;

function configure(host: object | undefined): void {
  const config = host ? { "project-vms:host": host } : {};
  writeFileSync(path.join(checkout, "Pulumi.local.yaml"), YAML.stringify({ config }));
}
const start = () => machine.embeddedHost("start", checkout);

/** Puts the guest's stand-in onto the bridge of the host that runs. */
async function connectGuest(): Promise<void> {
  const bridge = parseNetwork(await virsh.run("net-dumpxml", "project-vms")).bridge ?? "";
  // The machine has mounts of its own, and the usual path to the namespace is one of them.
  const netns = `/proc/${findProcesses(host).at(-1)}/ns/net`;
  guest = await Neighbour.start({ ...host, netns }, path.join(checkout, ".guest"), bridge, "10.77.0.9/24");
  await guest.run("ip", "route", "add", "default", "via", "10.77.0.1");
}

/** Which of these answer the guest, each asked for at most 5 s. */
async function reached(all: string[]): Promise<string[]> {
  const answers = await Promise.all(all.map((address) => guest.reaches(address, 8080)));
  return all.filter((_, i) => answers[i]);
}

/** What the guest gets from the site, by name. */
async function site(): Promise<string> {
  const script = `const { Resolver } = require("node:dns").promises;
    const dns = new Resolver({ timeout: 3000, tries: 2 });
    dns.setServers(["10.77.0.1"]);
    dns.resolve4("site.example")
      .then(([address]) => fetch("http://" + address + ":8080", { signal: AbortSignal.timeout(5000) }))
      .then((answer) => answer.text())
      .then(console.log, (error) => console.log("none: " + (error.cause?.code ?? error.code)));`;
  return (await guest.run(process.execPath, "-e", script)).all ?? "";
}

/** Processes of the uplink, wherever they are: their PIDs and command lines. */
function uplink(): { pid: string; line: string }[] {
  const all = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  const lines = all.map((pid) => {
    try {
      return { pid, line: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") };
    } catch {
      return { pid, line: "" }; // it ended
    }
  });
  return lines.filter(
    ({ line }) => line.includes(`embedded-uplink.sh ${host.dir}`) || line.includes(`uplink of ${host.dir} `),
  );
}

/** The PIDs of all that runs as a user. */
function processesOf(user: number): string[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => existsSync(`/proc/${pid}/status`) && statSync(`/proc/${pid}`).uid === user);
}

/** What somebody else on the machine may have set, and nothing of ours changes. */
async function machinesOwn(): Promise<string> {
  const looks = [["ip", "route", "show", "table", "all"], ["ip", "rule"], ["ip", "-br", "link"], ["iptables-save"]];
  const answers = await Promise.all(looks.map((look) => machine.run(...look)));
  const forwarding = (await machine.run("cat", "/proc/sys/net/ipv4/ip_forward")).all;
  return [...answers.map(({ all }) => all), forwarding].join("\n").replaceAll(/^#.*$|\[\d+:\d+\]/gm, "");
}

beforeAll(async () => {
  rmSync(checkout, { recursive: true, force: true });
  mkdirSync(checkout, { recursive: true });
  configure(undefined);
  machine = await Machine.start(path.join(checkout, ".machine"));
  await machine.embeddedHost("remove", checkout);
}, 120_000);
afterAll(async () => {
  await guest?.remove();
  await machine?.embeddedHost("remove", checkout);
  await machine?.remove();
  rmSync(checkout, { recursive: true, force: true });
});

describe("the embedded host's guests", () => {
  let before: string;

  test("all that is closed to them is open to the machine", async () => {
    // The kernel has a route for its link-local address only once it knows that nobody else has that.
    const tentative = async () => (await machine.run("ip", "-6", "address", "show", "tentative")).all;
    await expect.poll(tentative, { timeout: 10_000 }).toBe("");
    before = await machinesOwn();
    for (const address of [addresses.machine, addresses.neighbour, addresses.site, ...privateAddresses]) {
      expect((await machine.run("nc", "-z", "-w", "5", address, "8080")).exitCode, address).toBe(0);
    }
  });

  test("reach the internet, by name, through a process that may do nothing else", async () => {
    expect(await start()).toContain("embedded host: its VMs reach the outside");
    await withXmlFile(network, (file) => virsh.run("net-define", file));
    await virsh.run("net-start", "project-vms");
    await connectGuest();
    expect(await site()).toBe("internet");
    const qemu = uplink().find(({ line }) => line.startsWith("qemu"));
    const status = readFileSync(`/proc/${qemu?.pid}/status`, "utf8");
    // Another process of its user could read what guests send, forge answers and end it.
    const user = userIdOf(host, "uplink") ?? 0;
    expect(status).toMatch(new RegExp(`^Uid:(\t${user}){4}$`, "m"));
    expect(processesOf(user)).toEqual([qemu?.pid]);
    for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"])
      expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, "m"));
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    // Each connection is one of the machine's ports: of its 28,000 most stay free.
    const [, soft, hard] =
      readFileSync(`/proc/${qemu?.pid}/limits`, "utf8").match(/^Max open files +(\d+) +(\d+)/m) ?? [];
    expect([soft, hard]).toEqual(["4096", "4096"]);
  });

  test("reach neither the machine, by any of its addresses, nor its network, nor any private one", async () => {
    // The link's own addresses are aliases of the machine's loopback and of its resolver.
    const aliases = ["198.18.0.2", "198.18.0.3", "127.0.0.1"];
    const closed = [addresses.machine, addresses.neighbour, ...aliases, ...privateAddresses, "198.18.0.15"];
    expect(await reached([addresses.site, ...closed])).toEqual([addresses.site]);
  });

  test("reach no more if they get out of their QEMU, but the machine's resolver", async () => {
    const netns = `/proc/${findProcesses(host).at(-1)}/ns/net`;
    const inHost = (...words: string[]) => execa("nsenter", [`--net=${netns}`, ...words], { reject: false });
    const alias = (address: string) => inHost("nc", "-vz", "-w", "5", address, "8080");
    for (const address of ["198.18.0.2", "198.18.0.3", addresses.machine]) {
      expect((await alias(address)).stderr, address).toMatch(/unreachable|No route to host/);
    }
    const asks = ["ip", "route", "get", "198.18.0.3", "ipproto", "udp", "dport"];
    expect((await inHost(...asks, "53")).stdout).toContain("dev uplink0");
    expect((await inHost(...asks, "54")).stderr).toContain("unreachable");
  });

  test("do not reach an address that the machine gets while they run", async () => {
    await machine.run("ip", "address", "add", `${addresses.later}/32`, "dev", "lo");
    expect((await machine.run("nc", "-z", "-w", "5", addresses.later, "8080")).exitCode).toBe(0);
    await expect.poll(() => reached([addresses.later]), { timeout: 10_000 }).toEqual([]);
    await machine.run("ip", "address", "del", `${addresses.later}/32`, "dev", "lo");
  });

  test("are not reached from the machine's side, whose firewall and routes are as they were", async () => {
    expect((await machine.run("nc", "-z", "-w", "3", "10.77.0.9", "8080")).exitCode).not.toBe(0);
    expect(await machinesOwn()).toBe(before);
  });

  test("have no way out once a stack says so, and have it back when it does not, while they run", async () => {
    configure({ uplink: false });
    expect(await start()).toContain("embedded host: its VMs have no way out any more, as `uplink: false` says");
    expect(await reached([addresses.site])).toEqual([]);
    expect(uplink()).toEqual([]);
    configure({ uplink: true });
    expect(await start()).toContain("embedded host: its VMs reach the outside");
    expect(await site()).toBe("internet");
    const running = uplink();
    expect(await start()).toBe("embedded host: runs already");
    expect(uplink()).toEqual(running);
  });

  test("lose it where its process ends, which the doctor tells, and have it back at the next start", async () => {
    expect(await machine.embeddedHost("examine", checkout)).toContain("ok way out: is up");
    process.kill(Number(uplink().find(({ line }) => line.startsWith("qemu"))?.pid), "SIGKILL");
    await expect.poll(() => uplink()).toEqual([]);
    expect(await machine.embeddedHost("examine", checkout)).toContain("failure way out: has ended");
    expect(await start()).toContain("embedded host: its VMs reach the outside");
    expect(await site()).toBe("internet");
  });

  test("lose it with the host, also when that is killed, and nothing of it is left", async () => {
    await guest.remove();
    await killHost(host);
    await expect.poll(() => uplink()).toEqual([]);
    expect(await machinesOwn()).toBe(before);
  });

  test("have none where the machine has none, which is said in a line", async () => {
    await machine.run("ip", "route", "del", "default");
    expect(await start()).toContain("embedded host: its VMs have no way out: this machine has no default route");
    expect(uplink()).toEqual([]);
    await machine.embeddedHost("remove", checkout);
    expect(existsSync(host.dir)).toBe(false);
  });
});
