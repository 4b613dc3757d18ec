import { rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareCheckout } from "../../src/checkout/checkout.ts";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { sizeOf } from "./support/marker.ts";
import { pidInside } from "./support/process-inside.ts";
import { SmallDisk } from "./support/small-disk.ts";

const checkout = new Checkout("data-safety");
const { host, virsh } = checkout;
const smallDisk = new SmallDisk(path.join(host.storageDir, "webapp"));
const file = (name: string) => path.join(host.storageDir, "webapp", name);
const ssh = (command: string) => checkout.ssh("webapp", command);

/** What the one project of this stack asks for; the steps change it one after another. */
let entry: Record<string, unknown> = { memory: "1 GiB", cpus: 2, disk: "1 GiB", rootDisk: "10 GiB" };
function edit(change: Record<string, unknown>): void {
  entry = { ...entry, ...change };
  checkout.configure({ projects: { webapp: entry } });
}
const up = () => checkout.pulumi("up", "--yes", "--skip-preview");
/** What must be the same after every step: the work, and who the machine is. */
async function treasure() {
  return ssh(
    "sha256sum /home/dev/project/work /home/dev/.claude/login; cat /etc/ssh/ssh_host_ed25519_key.pub; ip -br link | grep -o '52:54:[0-9a-f:]*'; hostname",
  );
}
const bootId = () => ssh("cat /proc/sys/kernel/random/boot_id");
const mebibytes = async (mount: string) => Number(await ssh(`df --output=size --block-size=1M ${mount} | tail -n 1`));
const startAndWait = async () => {
  await virsh.run("start", "project-webapp");
  await expect.poll(() => bootId().catch(() => ""), { timeout: 300_000, interval: 2000 }).not.toBe("");
};
let precious: string;

beforeAll(async () => {
  await smallDisk.unmount();
  await checkout.create();
  await smallDisk.mount("8g");
  await startEmbeddedHost(host, console.error);
  edit({});
  for (const step of [() => checkout.pulumi("stack", "init"), up]) expectSuccess(await step());
  await ssh(
    "dd if=/dev/urandom of=/home/dev/project/work bs=1M count=64 status=none && echo token > /home/dev/.claude/login && sync",
  );
  precious = await treasure();
}, 900_000);
afterAll(async () => {
  await smallDisk.unmount();
  await checkout.remove();
});

describe("the data of a VM", () => {
  test("disks grow while it runs, without a restart, and the preview says so", async () => {
    const before = await bootId();
    edit({ disk: "2 GiB", rootDisk: "12 GiB" });
    const line =
      "webapp: no restart, root disk grows from 10 GiB to 12 GiB, project disk grows from 1 GiB to 2 GiB, data kept";
    expect(expectSuccess(await checkout.pulumi("preview"))).toContain(line);
    expect(expectSuccess(await up())).toContain(line);
    expect([await sizeOf(file("project.qcow2")), await sizeOf(file("disk.qcow2"))]).toEqual([2048, 12_288]);
    expect(await mebibytes("/home/dev/project")).toBeGreaterThan(1900);
    expect(await mebibytes("/")).toBeGreaterThan(11_000);
    expect(await bootId()).toBe(before);
    expect(await treasure()).toBe(precious);
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  test("a smaller disk is refused at the preview with both sizes, and nothing changes", async () => {
    const before = await bootId();
    edit({ disk: "1 GiB", rootDisk: "11 GiB", memory: "2 GiB" });
    for (const { exitCode, all } of [await checkout.pulumi("preview"), await up()]) {
      expect(exitCode).not.toBe(0);
      expect(all).toContain(
        `Pulumi.local.yaml: projects.webapp.disk: must be at least 2 GiB, as the project disk ${file("project.qcow2")} is: a disk is never made smaller, but is "1 GiB"`,
      );
      expect(all).toContain(
        `Pulumi.local.yaml: projects.webapp.rootDisk: must be at least 12 GiB, as the root disk ${file("disk.qcow2")} is, but is "11 GiB"`,
      );
    }
    expect([await bootId(), await treasure()]).toEqual([before, precious]);
    edit({ disk: "2 GiB", rootDisk: "12 GiB", memory: "1 GiB" });
  });

  test("on a state that was lost, an up takes all of it up again, and the guest does not restart", async () => {
    const before = await bootId();
    rmSync(path.join(checkout.dir, ".local/state"), { recursive: true });
    prepareCheckout(checkout.dir);
    expectSuccess(await checkout.pulumi("stack", "init"));
    const all = expectSuccess(await up());
    expect(all).toContain(
      "webapp: is on the host but not in this stack's state: adopted as it is: VM (running), root disk, project disk (2 GiB, ",
    );
    expect(all).toContain("project-webapp: suspended to disk; it resumes without a restart");
    expect([await bootId(), await treasure()]).toEqual([before, precious]);
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  test("memory, CPUs and firmware take a graceful restart, also when libvirtd is killed in the middle of it", async () => {
    const before = await bootId();
    edit({ memory: "1536 MiB", cpus: 1, firmware: "uefi" });
    const line = "webapp: restart (memory 1 GiB to 1.5 GiB, cpus 2 to 1, firmware bios to uefi), data kept";
    expect(expectSuccess(await checkout.pulumi("preview"))).toContain(line);
    const running = up();
    await expect
      .poll(async () => (await virsh.run("domstate", "project-webapp").catch(() => "")).trim(), {
        timeout: 120_000,
        interval: 200,
      })
      .toBe("shut off");
    process.kill(pidInside(host, "libvirtd"), "SIGKILL");
    await running;
    expectSuccess(await up());
    expect(await ssh("nproc; test -d /sys/firmware/efi && echo uefi")).toBe("1\nuefi");
    // A filesystem that was cut off would have to be recovered.
    expect(await ssh("sudo dmesg | grep -i 'ext4-fs.*recover' || echo clean")).toBe("clean");
    expect(await bootId()).not.toBe(before);
    expect(await treasure()).toBe(precious);
  });

  test("a new root is the same machine: files, SSH host key, login and address stay, ssh goes on without a warning", async () => {
    await ssh("sudo touch /installed-by-hand");
    edit({ rebuild: "2026-11" });
    const line = "webapp: restart, root disk recreated, data kept";
    expect(expectSuccess(await checkout.pulumi("preview"))).toContain(line);
    expect(expectSuccess(await up())).toContain(line);
    expect(await ssh("ls /installed-by-hand 2>&1 || true")).toContain("No such file");
    expect(await treasure()).toBe(precious);
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));
  });

  test("a guest that was cut off has its files, and one that is off stays off through an edit", async () => {
    await ssh("echo more >> /home/dev/project/notes && sync");
    await virsh.run("destroy", "project-webapp");
    edit({ cpus: 2, firmware: "bios", disk: "3 GiB" });
    const all = expectSuccess(await up());
    expect(all).toContain(
      "webapp: stays shut off (cpus 1 to 2, firmware uefi to bios), project disk grows from 2 GiB to 3 GiB, data kept",
    );
    expect((await virsh.run("domstate", "project-webapp")).trim()).toBe("shut off");
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));
    await startAndWait();
    expect(await ssh("cat /home/dev/project/notes")).toBe("more");
    expect(await mebibytes("/home/dev/project")).toBeGreaterThan(2800);
    expect(await treasure()).toBe(precious);
  });

  test("growth on a host that is full pauses the guest, says so, and goes on once there is room", async () => {
    const before = await bootId();
    await smallDisk.fill(256 * 1024);
    edit({ disk: "4 GiB" });
    const { exitCode, all } = await up();
    expect(exitCode, all).not.toBe(0);
    expect(all).toContain("project-webapp is paused: its host has no room for what it writes. Nothing is lost.");
    expect(all).toMatch(/vms\/webapp: must have room for what is written on the VM's disks, but has [\d.]+ \w+B/);
    expect((await virsh.run("domstate", "project-webapp", "--reason")).trim()).toBe("paused (I/O error)");
    await smallDisk.makeRoom();
    expect(expectSuccess(await up())).toContain("was paused because its host's disk was full, and resumes");
    expect(await mebibytes("/home/dev/project")).toBeGreaterThan(3800);
    expect([await bootId(), await treasure()]).toEqual([before, precious]);
  });
});
