import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import type { Image } from "../../src/images/cache.ts";
import { publishImage } from "../../src/images/publish.ts";
import { Checkout } from "./support/checkout.ts";

const checkout = new Checkout("publish-image");
const { host, virsh } = checkout;
const pool = "project-vms-base";
const folder = path.join(host.storageDir, "base");
let image: Image;

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(host, console.error);
  const file = path.join(checkout.dir, "image.qcow2");
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "64M"]);
  execaSync("qemu-io", ["-c", "write -P 7 0 8M", file]);
  const sha512 = createHash("sha512").update(readFileSync(file)).digest("hex");
  image = { file, sha512, name: `debian-testing-${sha512.slice(0, 12)}.qcow2`, virtualSize: 64 * 2 ** 20 };
  mkdirSync(folder, { recursive: true });
  await virsh.run("pool-define-as", pool, "dir", "--target", folder);
  await virsh.run("pool-start", pool);
});
afterAll(() => checkout.remove());

const log: string[] = [];
const publish = () => {
  log.length = 0;
  return publishImage(image, host.uri, pool, (line) => log.push(line));
};
const published = () => path.join(folder, image.name);
const digest = () => createHash("sha512").update(readFileSync(published())).digest("hex");

describe("a base image in a host's pool", () => {
  test("is there whole, as libvirt sees it too", async () => {
    expect(await publish()).toEqual({ name: image.name, path: published() });
    expect(digest()).toBe(image.sha512);
    expect(readFileSync(`${published()}.sha512`, "utf8")).toBe(`${image.sha512}  ${image.name}\n`);
    expect(await virsh.run("vol-info", image.name, "--bytes", "--pool", pool)).toMatch(/Capacity: +67108864/);
  });

  test("is not uploaded again", async () => {
    const { mtimeMs } = statSync(published());
    expect(await publish()).toEqual({ name: image.name, path: published() });
    expect(statSync(published()).mtimeMs).toBe(mtimeMs);
    expect(log).toEqual([]);
  });

  test("that was cut off while it was uploaded is uploaded again", async () => {
    rmSync(`${published()}.sha512`);
    truncateSync(published(), 4096);
    await publish();
    expect(digest()).toBe(image.sha512);
    expect(log[0]).toBe(`${image.name} on the host was cut off while it was uploaded: uploading it again`);
  });

  test("that was written to since it was uploaded is uploaded again", async () => {
    execaSync("qemu-io", ["-c", "write -P 9 0 64k", published()]);
    await publish();
    expect(digest()).toBe(image.sha512);
    expect(log[0]).toBe(`${image.name} on the host was written to since it was uploaded: uploading it again`);
  });

  test("and is named, and left alone, when a VM stands on it, however its backing file is written", async () => {
    const overlay = path.join(folder, "overlay.qcow2");
    const backing = JSON.stringify({ driver: "qcow2", file: { driver: "file", filename: published() } });
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", `json:${backing}`, overlay]);
    execaSync("qemu-io", ["-c", "write -P 9 0 64k", published()]);
    const altered = digest();
    await expect(publish()).rejects.toThrow(
      [
        "A base image on the host may have been altered, and is left alone.",
        `  - ${published()}: must not be newer than ${image.name}.sha512, since ${overlay} stands on it`,
        "    compare its contents: `project-vm images verify`; if they are others, rebuild the VMs on it",
      ].join("\n"),
    );
    expect(digest()).toBe(altered);
    rmSync(overlay);
    await publish();
    expect(digest()).toBe(image.sha512);
  });

  test("is never taken away from under a VM, whatever is missing beside it", async () => {
    rmSync(`${published()}.sha512`);
    const overlay = ["vol-create-as", pool, "overlay.qcow2", "64M", "--format", "qcow2"];
    await virsh.run(...overlay, "--backing-vol", image.name, "--backing-vol-format", "qcow2");
    await expect(publish()).rejects.toThrow(
      [
        "A base image on the host is not marked as whole, and is left alone.",
        `  - ${published()}: must have ${image.name}.sha512 beside it, since ${folder}/overlay.qcow2 stands on it`,
        `    if its SHA-512 is ${image.sha512}, write that into ${published()}.sha512; else rebuild the VMs on it`,
      ].join("\n"),
    );
    expect(existsSync(published())).toBe(true);
    expect(digest()).toBe(image.sha512);
  });
});
