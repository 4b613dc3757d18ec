import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { expectMarker, writeMarker } from "./support/marker.ts";

const checkout = new Checkout("base-image-lost");
const { host, virsh } = checkout;
const base = path.join(host.storageDir, "base");
const disk = (project: string, name = "project.qcow2") => path.join(host.storageDir, project, name);
const image = () => path.join(base, readdirSync(base).find((file) => file.endsWith(".qcow2")) as string);
const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");

/** The stack, whose VMs are made and not started. */
function configure(projects: Record<string, object>): void {
  checkout.configure({ defaults: { memory: "256 MiB", cpus: 1, disk: "64 MiB", rootDisk: "8 GiB" }, projects });
}
const up = () => checkout.pulumi("up", "--yes", "--skip-preview");
/** An update and its preview are refused, and neither disk is touched; gives what the preview said. */
async function refusal(): Promise<string> {
  const disks = [disk("alpha"), disk("alpha", "disk.qcow2")];
  const before = disks.map(digest);
  const { exitCode, all } = await checkout.pulumi("preview");
  expect(exitCode, all).not.toBe(0);
  expect((await up()).exitCode).not.toBe(0);
  expect(disks.map(digest)).toEqual(before);
  return all;
}

beforeAll(async () => {
  await checkout.create({ running: false });
  await startEmbeddedHost(host, console.error);
  configure({ alpha: {} });
  for (const step of [() => checkout.pulumi("stack", "init"), up]) expectSuccess(await step());
  await writeMarker(disk("alpha"), 11);
}, 900_000);
afterAll(() => checkout.remove());

describe("a base image under a VM", () => {
  test("that is missing is named with the VM; nothing is touched, and all is well once it is put back", async () => {
    const [file, kept] = [image(), path.join(host.dir, "kept.qcow2")];
    renameSync(file, kept);
    await virsh.run("pool-refresh", "project-vms-base");
    configure({ alpha: { memory: "300 MiB" } });
    const all = await refusal();
    expect(all).toContain(
      `Pulumi.local.yaml: projects.alpha: must have the base image that its root disk stands on, but ${file} is missing on ${host.uri}`,
    );
    renameSync(kept, file);
    await virsh.run("pool-refresh", "project-vms-base");
    expectSuccess(await up());
    await expectMarker(disk("alpha"), 11);
  });

  test("that was written to is named; a new root gets it whole again, with all data", async () => {
    const mark = `${image()}.sha512`;
    const whole = readFileSync(mark, "utf8").split(" ")[0];
    await execa("qemu-io", ["-c", "write -P 9 0 64k", image()]);
    await virsh.run("pool-refresh", "project-vms-base");
    configure({ alpha: { memory: "256 MiB" } });
    const all = await refusal();
    expect(all).toContain(
      `Pulumi.local.yaml: projects.alpha: must stand on a base image as it was uploaded, but ${image()} on ${host.uri} may have been altered since`,
    );
    // As somebody would who has given the root up: the VM goes, its data stays, and it comes back on an image that is whole.
    configure({});
    expectSuccess(await up());
    configure({ alpha: {} });
    expect(expectSuccess(await up())).toContain("was written to since it was uploaded: uploading it again");
    expect((await execa("sha512sum", [image()])).stdout.split(" ")[0]).toBe(whole);
    await expectMarker(disk("alpha"), 11);
  });

  test("that was removed while nothing stood on it comes back with the next new VM, and with a new root", async () => {
    configure({});
    expectSuccess(await up());
    for (const file of [image(), `${image()}.sha512`]) rmSync(file);
    configure({ alpha: {}, beta: {} });
    const all = expectSuccess(await up());
    expect(all).toContain("is missing on the host: publishing it again");
    // In the progress, and among the diagnostics.
    expect(all.match(/publishing it again/g)).toHaveLength(2);
    expect(existsSync(disk("beta", "disk.qcow2"))).toBe(true);
    await expectMarker(disk("alpha"), 11);
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));

    // The root is to be recreated anyway, so what it stood on is not missed.
    rmSync(image());
    await virsh.run("pool-refresh", "project-vms-base");
    configure({ alpha: { rebuild: "once" }, beta: { rebuild: "once" } });
    expect(expectSuccess(await up())).toContain("publishing it again");
    await expectMarker(disk("alpha"), 11);
    expectSuccess(await checkout.pulumi("preview", "--refresh", "--expect-no-changes"));
  });
});

test("a disk that is made is of the version of qcow2 that grows with snapshots on it", async () => {
  const { stdout } = await execa("qemu-img", ["info", "--output", "json", disk("alpha")]);
  expect(stdout).toMatch(/"compat": "1\.1"/);
  await execa("qemu-img", ["snapshot", "-c", "before", disk("alpha")]);
  configure({ alpha: { rebuild: "once", disk: "128 MiB" }, beta: { rebuild: "once" } });
  expect(expectSuccess(await up())).toContain("project disk grows from 64 MiB to 128 MiB, data kept");
  await expectMarker(disk("alpha"), 11);
});
