import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddedRoot } from "../../src/core/names.ts";
import {
  embeddedHostStatus,
  startEmbeddedHost,
  stopEmbeddedHost,
  wipeEmbeddedHost,
} from "../../src/embedded-host/embedded.ts";
import { clearLeftovers, killHost, mountsBelow } from "../../src/embedded-host/embedded-process.ts";
import { serverUsers } from "../../src/embedded-host/embedded-servers.ts";
import { userIdOf } from "../../src/embedded-host/embedded-users.ts";
import { embeddedHostFor } from "../../src/libvirt/embedded-layout.ts";
import { findProcesses } from "../../src/libvirt/embedded-look.ts";
import { takeInventory } from "../../src/libvirt/inventory.ts";
import { localStorage } from "../../src/libvirt/storage.ts";
import { virshFor } from "../../src/libvirt/virsh.ts";
import { examineEmbeddedHost } from "../../src/operations/doctor/embedded.ts";
import { pidInside } from "./support/process-inside.ts";

// A host of this test's own, at a path that depends on nothing, so that a run that was cut off is cleared by the next.
const host = embeddedHostFor("/nonexistent/embedded-host-test");
const virsh = virshFor(host.uri);
let files: string;

/** The log of one call, for what it says. */
const start = async () => logged((log) => startEmbeddedHost(host, log));
/** Nothing in these guests hears a power button: a second is enough. */
const stop = async () => logged((log) => stopEmbeddedHost(host, log, 1));

async function logged(action: (log: (line: string) => void) => Promise<void>): Promise<string> {
  const lines: string[] = [];
  await action((line) => lines.push(line));
  return lines.join("\n");
}

beforeAll(async () => {
  files = await mkdtemp(path.join(tmpdir(), "embedded-host-test-"));
  await killHost(host);
  await clearLeftovers(host);
  await wipeEmbeddedHost(host);
});

afterAll(async () => {
  await stop();
  await wipeEmbeddedHost(host);
  rmSync(files, { recursive: true, force: true });
});

/** What this machine shows from outside the host. */
const machine = () => ({
  links: execFileSync("ip", ["-br", "link"], { encoding: "utf8" }),
  addresses: execFileSync("ip", ["-br", "address"], { encoding: "utf8" }),
  // But other embedded hosts', which may come and go meanwhile.
  mounts: readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => !line.includes(`${embeddedRoot}/`) || line.includes(`${host.dir}/`)),
  forwarding: readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"),
});

/** All processes in the host's network namespace, by name. */
function processesInside(): string[] {
  const inode = /net:\[(\d+)\]/.exec(
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((line) => line.includes(host.netns)) ?? "",
  )?.[1];
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/ns/net`) !== `net:[${inode}]`) return [];
        return [readFileSync(`/proc/${pid}/comm`, "utf8").trim()];
      } catch {
        return []; // it ended, or is the kernel's
      }
    });
}

/** The only process of a user. */
function pidOf(user: number | undefined): number {
  const [pid, ...others] = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => existsSync(`/proc/${entry}`) && statSync(`/proc/${entry}`).uid === user);
  expect(others).toEqual([]);
  return Number(pid);
}

const define = async (command: string, name: string, xml: string) => {
  const file = path.join(files, name);
  writeFileSync(file, xml);
  await virsh.run(command, file);
};

const network = `<network>
  <name>project-vms</name>
  <forward mode="nat"/>
  <domain name="test.project-vms.internal" localOnly="yes"/>
  <ip address="10.77.0.1" prefix="24"><dhcp><range start="10.77.0.2" end="10.77.0.254"/></dhcp></ip>
</network>`;

/** A guest that finds nothing to boot: it runs, and hears nothing. */
const guest = (name: string, disks = "") => `<domain type="qemu">
  <name>${name}</name>
  <description>project-vms stack test</description>
  <memory unit="MiB">32</memory>
  <os><type arch="x86_64">hvm</type></os>
  <features><acpi/></features>
  <devices>
    ${disks}
    <interface type="network"><source network="project-vms"/><model type="virtio"/></interface>
    <console type="pty"/>
  </devices>
</domain>`;

const disk = (file: string, target: string) => `<disk type="file">
  <driver name="qemu" type="qcow2"/><source file="${file}"/><target dev="${target}" bus="virtio"/>
</disk>`;

describe("the embedded host", () => {
  const before = machine();

  test("starts, answers from outside, and a second start does nothing", async () => {
    expect(await start()).toContain("libvirtd answers");
    await expect(virsh.run("list", "--all", "--name")).resolves.toBe("");
    const pids = findProcesses(host);
    expect(await start()).toBe("embedded host: runs already");
    expect(findProcesses(host)).toEqual(pids);
    await expect(embeddedHostStatus(host)).resolves.toEqual({ state: "running", guests: [] });
  });

  test("keeps libvirtd's log bounded while it runs, and the newest of it", async () => {
    const log = path.join(host.dir, "libvirt/log/libvirtd.log");
    // As a guest does whose agent talks nonsense.
    appendFileSync(log, `${"error : nonsense\n".repeat(300_000)}`);
    await expect.poll(() => statSync(log).size, { timeout: 20_000 }).toBeLessThan(1_000_000);
    expect(statSync(`${log}.1`).size).toBe(4 * 2 ** 20);
    // libvirtd itself goes on with it.
    await expect(define("define", "no-type.xml", "<domain><name>none</name></domain>")).rejects.toThrow("domain type");
    await expect.poll(() => readFileSync(log, "utf8")).toContain("domain type");
  });

  test("runs a network and guests with disks, and nothing of it is seen on this machine", async () => {
    await define("net-define", "network.xml", network);
    await virsh.run("net-start", "project-vms");
    await virsh.run("pool-define-as", "project-a", "dir", "--target", path.join(host.storageDir, "a"));
    await virsh.run("pool-build", "project-a");
    await virsh.run("pool-start", "project-a");
    await virsh.run("vol-create-as", "project-a", "base.qcow2", "1G", "--format", "qcow2");
    const backing = ["--backing-vol", "base.qcow2", "--backing-vol-format", "qcow2"];
    await virsh.run("vol-create-as", "project-a", "disk.qcow2", "1G", "--format", "qcow2", ...backing);
    await define("define", "a.xml", guest("project-a", disk(path.join(host.storageDir, "a/disk.qcow2"), "vda")));
    await virsh.run("start", "project-a");
    await define("create", "transient.xml", guest("transient"));

    await expect(virsh.run("domstate", "project-a")).resolves.toBe("running");
    expect(processesInside()).toEqual(expect.arrayContaining(["libvirtd", "dnsmasq", "qemu-system-x86"]));
    const inside = execFileSync("nsenter", [`--net=${host.netns}`, "ip", "-br", "address"], { encoding: "utf8" });
    expect(inside).toMatch(/^lo .*127\.0\.0\.1/m);
    expect(inside).toMatch(/^virbr0 .*10\.77\.0\.1\/24/m);
    const bridge = ["ip", "-details", "link", "show", "virbr0"];
    expect(execFileSync("nsenter", [`--net=${host.netns}`, ...bridge], { encoding: "utf8" })).toContain(
      "no_linklocal_learn 1",
    );
    const { mounts, ...rest } = machine();
    expect(rest).toEqual({ links: before.links, addresses: before.addresses, forwarding: before.forwarding });
    expect(mounts.length).toBe(before.mounts.length + 1); // the network namespace's
  });

  test("no guest runs as root", () => {
    const status = readFileSync(`/proc/${pidInside(host, "qemu-system-x86")}/status`, "utf8");
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).toBe("64055");
  });

  test("its DNS and DHCP server is a user's of its own, whose end the doctor tells and mends", async () => {
    const own = userIdOf(host, "dnsmasq");
    expect(serverUsers(host)).toEqual([{ network: "project-vms", user: own }]);
    const examined = () => examineEmbeddedHost(host.checkout, host.uri, () => {}).filter(({ level }) => level !== "ok");
    expect(examined()).toEqual([]);
    // The one that libvirt starts; the other is root's, and ends with it.
    process.kill(pidOf(own), "SIGKILL");
    await expect.poll(() => serverUsers(host)).toEqual([]);
    const [found] = examined();
    expect(found?.says).toContain("the server of project-vms (dnsmasq) has ended");
    await found?.mend?.();
    expect(serverUsers(host)).toEqual([{ network: "project-vms", user: own }]);
    expect(examined()).toEqual([]);
  });

  test("its inventory tells all that is there, and over a connection from elsewhere too", async () => {
    const found = await takeInventory({ ...host, virtualization: "auto" });
    expect(found.storage).toMatchObject({ path: host.storageDir, writable: true });
    expect(found.networks).toMatchObject([
      {
        name: "project-vms",
        active: true,
        autostart: false,
        dnsDomain: "test.project-vms.internal",
        cidr: "10.77.0.0/24",
      },
    ]);
    expect(found.domains.toSorted((a, b) => a.name.localeCompare(b.name))).toMatchObject([
      {
        name: "project-a",
        state: "running",
        description: "project-vms stack test",
        diskPaths: [path.join(host.storageDir, "a/disk.qcow2")],
      },
      { name: "transient", state: "running", diskPaths: [] },
    ]);
    const base = path.join(host.storageDir, "a/base.qcow2");
    expect(found.pools).toMatchObject([{ name: "project-a", active: true, path: path.join(host.storageDir, "a") }]);
    expect(found.pools[0]?.volumes.find(({ name }) => name === "disk.qcow2")).toMatchObject({
      capacity: 1024 ** 3,
      format: "qcow2",
      backingPath: base,
    });

    // An ssh that goes to this host's socket, whatever host it is told.
    const ssh = path.join(files, "ssh");
    const socket = path.join(host.dir, "run/libvirt/libvirt-sock");
    writeFileSync(ssh, `#!/bin/sh\nexec nc -U ${socket}\n`, { mode: 0o755 });
    const uri = `qemu+ssh://root@elsewhere/system?proxy=netcat&command=${ssh}`;
    const remote = await takeInventory({ ...host, uri, virtualization: "emulated" });
    expect({ ...remote, storage: undefined, memory: 0 }).toEqual({
      ...found,
      uri,
      virtualization: "emulated",
      storage: undefined,
      memory: 0,
    });
    expect(remote.memory).toBeGreaterThan(1024 ** 3);
    expect(remote.storage).toMatchObject({ path: host.storageDir, writable: true });
  });

  test("comes back by itself when only its libvirtd dies, and its guests have not noticed", async () => {
    const qemu = pidInside(host, "qemu-system-x86");
    process.kill(pidInside(host, "libvirtd"), "SIGKILL");
    expect(await start()).toBe("embedded host: runs already");
    await expect(virsh.run("domstate", "project-a")).resolves.toBe("running");
    expect(pidInside(host, "qemu-system-x86")).toBe(qemu);
  });

  test("keeps its guests though its libvirtd dies again and again, as one guest's agent can have it do", async () => {
    const qemu = pidInside(host, "qemu-system-x86");
    const libvirtd = () => pidInside(host, "libvirtd");
    for (let deaths = 0, last = 0; deaths < 4; deaths++) {
      await expect.poll(libvirtd, { timeout: 20_000, interval: 20 }).not.toBe(last);
      last = libvirtd();
      process.kill(last, "SIGKILL");
    }
    await expect
      .poll(() => readFileSync(path.join(host.dir, "run/inside.log"), "utf8"))
      .toContain("starts again in 10 s");
    await expect
      .poll(() => virsh.run("domstate", "project-a").catch(String), { timeout: 40_000, interval: 500 })
      .toBe("running");
    expect(pidInside(host, "qemu-system-x86")).toBe(qemu);
  });

  test("a crash's leftovers are cleared by the next start, also by two at once, and its guests run again", async () => {
    for (const pid of findProcesses(host)) process.kill(pid, "SIGKILL");
    await expect.poll(() => findProcesses(host)).toEqual([]);
    expect(mountsBelow(host.dir)).toEqual([host.netns]);
    const logs = await Promise.all([start(), start()]);
    expect(logs.join("\n").match(/cleared what a crash had left/g)).toHaveLength(1);
    expect(logs.join("\n")).toContain("embedded host: started project-a again");
    expect(logs.join("\n")).toContain("embedded host: runs already");
    expect((await embeddedHostStatus(host)).guests).toEqual(["project-a"]);
    await expect(virsh.run("net-list", "--name")).resolves.toBe("project-vms");
  });

  test("while it runs it is not wiped", async () => {
    await expect(wipeEmbeddedHost(host)).rejects.toThrow(/must not be running\n +Stop it first: make down/);
  });

  test("its stop leaves nothing running and nothing mounted, but disks and definitions", async () => {
    const pids = findProcesses(host);
    const log = await stop();
    expect(log).toContain("embedded host: project-a: did not shut down within 1 s; its power is cut");
    expect(log).toContain("embedded host: stopped");
    expect(pids.filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([]);
    expect(machine()).toEqual(before);
    expect(existsSync(path.join(host.dir, "run"))).toBe(false);
    expect(existsSync(`${host.dir}.lock`)).toBe(false);
    expect(readdirSync(path.join(host.storageDir, "a")).sort()).toEqual(["base.qcow2", "disk.qcow2"]);
    expect(await stop()).toBe("embedded host: does not run");
  });

  test("the next start has the same VMs, and those that ran run again", async () => {
    expect(await start()).toContain("embedded host: started project-a again");
    await expect(virsh.run("domstate", "project-a")).resolves.toBe("running");
    await expect(virsh.run("pool-list", "--name")).resolves.toBe("project-a");
  });

  test("a VM that its user shut down stays off at the next start", async () => {
    await virsh.run("destroy", "project-a");
    await stop();
    await start();
    await expect(virsh.run("domstate", "project-a")).resolves.toBe("shut off");
  });

  test("a libvirtd that does not come up is said with the end of its log, and nothing is left", async () => {
    await stop();
    // Where libvirtd wants a folder there is a file.
    const inTheWay = path.join(host.dir, "libvirt/lib/qemu");
    renameSync(inTheWay, `${inTheWay}.aside`);
    writeFileSync(inTheWay, "");
    await expect(start()).rejects.toThrow(/The embedded host did not start\.[\s\S]*\/var\/lib\/libvirt\/qemu/);
    rmSync(inTheWay);
    renameSync(`${inTheWay}.aside`, inTheWay);
    expect(findProcesses(host)).toEqual([]);
    expect(machine()).toEqual(before);
  });
});

test("a read-only file system is found out before anything is made on it", async () => {
  const folder = path.join(files, "read-only");
  mkdirSync(folder);
  execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", folder]);
  try {
    await expect(localStorage(path.join(folder, "vms"))).resolves.toMatchObject({
      writable: false,
      problem: `${folder} is on a read-only file system`,
    });
  } finally {
    execFileSync("umount", [folder]);
  }
});
