import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { resolveHost } from "../../src/checkout/resolve.ts";
import { parseStackConfig } from "../../src/config/parse.ts";
import type { Image } from "../../src/images/cache.ts";
import { lookAtImages } from "../../src/images/look-at-images.ts";
import { type CurrentImages, type PrunePlan, pruneImages } from "../../src/images/prune.ts";
import { imageUsage } from "../../src/images/usage.ts";
import { requireWhole, verifyImages } from "../../src/images/verify.ts";
import { takeInventory } from "../../src/libvirt/inventory.ts";
import { baseImageIssues } from "../../src/preflight/base-image-checks.ts";
import { BaseImageHost } from "./support/base-images.ts";

const lab = new BaseImageHost("base-images");
const { checkout, images } = lab;
const { host, virsh } = checkout;
/** As of a stack whose image is none of these. */
const current: CurrentImages = { digests: ["0".repeat(12)], isComplete: true };

beforeAll(() => lab.create());
afterAll(() => checkout.remove());

const log: string[] = [];
const say = (line: string) => void log.push(line);
const onHost = (image: Image) => lab.pathOf(image);
const markerOf = (image: Image) => lab.markerOf(image);
const prune = async (confirm: (plan: PrunePlan) => Promise<boolean> = async () => true) => {
  log.length = 0;
  return (await pruneImages(host, current, confirm, say, lab.cache))?.removed.map(({ name }) => name);
};
const verify = () => verifyImages(host, say, lab.cache);

/** The checks of an update of a config with the project webapp. */
async function issues() {
  const config = parseStackConfig({ "project-vms:projects": '{"webapp":{}}' }, "Pulumi.local.yaml");
  const { settings } = resolveHost(config, checkout.dir);
  const inventory = await takeInventory(settings);
  return baseImageIssues({ config, host: settings, inventory, stack: "local", file: "Pulumi.local.yaml" });
}

describe("base images of a host", () => {
  test("are listed with what stands on them", async () => {
    const found = imageUsage(await lookAtImages(host), host.storageDir).images;
    expect(Object.fromEntries(found.map((image) => [image.name, image]))).toMatchObject({
      [images.used.name]: { path: onHost(images.used), capacity: 64 * 2 ** 20, projects: ["webapp"], others: [] },
      [images.spare.name]: { marker: { path: markerOf(images.spare) }, projects: [], others: [] },
    });
    expect(await issues()).toEqual([]);
  });

  test("are pruned when nothing stands on them, with their marker, and no others", async () => {
    const confirm = vi
      .fn<(plan: PrunePlan) => Promise<boolean>>()
      .mockResolvedValueOnce(false)
      .mockResolvedValueOnce(true);
    expect(await prune(confirm)).toBeUndefined();
    expect(existsSync(onHost(images.spare))).toBe(true);
    expect(await prune(confirm)).toEqual([images.spare.name]);
    expect(confirm.mock.calls[0]?.[0]).toMatchObject({
      remove: [{ name: images.spare.name }],
      keep: [{ image: { name: images.used.name }, reason: "projects.webapp stands on it" }],
    });
    expect([onHost(images.spare), markerOf(images.spare)].map((file) => existsSync(file))).toEqual([false, false]);
    expect([onHost(images.used), markerOf(images.used)].map((file) => existsSync(file))).toEqual([true, true]);
    expect(await prune(confirm)).toEqual([]);
    expect(confirm).toHaveBeenCalledTimes(2);
    expect(log).toEqual([`kept ${images.used.name}: projects.webapp stands on it`]);
  });

  test("can be uploaded again after they were pruned, also when a marker was left", async () => {
    writeFileSync(markerOf(images.spare), "of an image that is gone");
    await lab.publish(images.spare);
    expect(readFileSync(markerOf(images.spare), "utf8")).toBe(`${images.spare.sha512}  ${images.spare.name}\n`);
    requireWhole(await verify(), host);
  });
});

describe("a prune does not take a base image from under an overlay", () => {
  const elsewhere = path.join(host.dir, "elsewhere");
  const stays = (image: Image) => expect(existsSync(onHost(image)) && existsSync(markerOf(image))).toBe(true);

  test("that was made after it was said what would go", async () => {
    await lab.startPool("others", elsewhere);
    const confirm = async ({ remove }: PrunePlan) => {
      expect(remove.map(({ name }) => name)).toEqual([images.spare.name]);
      // Behind libvirt's back, and outside of storageDir.
      lab.overlayOn(images.spare, path.join(elsewhere, "x.qcow2"));
      return true;
    };
    expect(await prune(confirm)).toEqual([]);
    expect(log).toContain(`kept ${images.spare.name}: ${elsewhere}/x.qcow2 stands on it`);
    stays(images.spare);
  });

  test("in a pool that is stopped: nothing is pruned, and the pool is named", async () => {
    await virsh.run("pool-destroy", "others");
    await expect(prune()).rejects.toThrow(
      [
        "No base image was removed: not all that may stand on one can be seen.",
        "  - pool others: must be active, or what is in it cannot be seen, and may stand on a base image",
        `    start it: \`virsh -c '${host.uri}' pool-start others\``,
      ].join("\n"),
    );
    stays(images.spare);
  });

  test("in no pool at all, that a domain has as its disk", async () => {
    await virsh.run("pool-undefine", "others");
    const xml = path.join(lab.scratch, "bobs.xml");
    const disk = `<disk type='file'><source file='${elsewhere}/x.qcow2'/><target dev='vda'/></disk>`;
    const os = "<os><type arch='x86_64'>hvm</type></os>";
    writeFileSync(
      xml,
      `<domain type='qemu'><name>bobs</name><memory>65536</memory>${os}<devices>${disk}</devices></domain>`,
    );
    await virsh.run("define", xml);
    await expect(prune()).rejects.toThrow(
      `${elsewhere}/x.qcow2: must be in a pool of the host, or nobody can tell which base image it stands on`,
    );
    await virsh.run("undefine", "bobs");
    stays(images.spare);
  });

  test("in the folder of a project whose pool libvirt has lost", async () => {
    const disk = path.join(host.storageDir, "lost", "disk.qcow2");
    lab.overlayOn(images.spare, disk);
    await expect(prune()).rejects.toThrow(
      [
        `${disk}: must be in a pool of the host, or nobody can tell which base image it stands on`,
        `    make one of its folder: \`virsh -c '${host.uri}' pool-define-as project-lost dir --target ${path.dirname(disk)} && virsh -c '${host.uri}' pool-start project-lost\``,
      ].join("\n"),
    );
    rmSync(path.dirname(disk), { recursive: true });
    stays(images.spare);
  });

  test("in a pool that cannot be read", async () => {
    const gone = path.join(host.dir, "gone");
    await lab.startPool("gone", gone);
    rmSync(gone, { recursive: true });
    await expect(prune()).rejects.toThrow(/pool gone: must let itself be read, but: .*No such file/);
    await virsh.run("pool-undefine", "gone");
    stays(images.spare);
  });
});

test("a prune that is killed leaves an image that is not marked as whole, and the next one goes on", async () => {
  const bin = path.join(lab.scratch, "bin");
  mkdirSync(bin);
  const kills = `case "$*" in *"vol-delete ${images.spare.name} "*) kill -9 $PPID; exit 1 ;; esac`;
  writeFileSync(path.join(bin, "virsh"), `#!/bin/sh\n${kills}\nexec /usr/bin/virsh "$@"\n`, { mode: 0o755 });
  const url = (file: string) => JSON.stringify(new URL(`../../src/images/${file}`, import.meta.url).href);
  const code = `
    const { pruneImages } = await import(${url("prune.ts")});
    const { ImageCache } = await import(${url("cache.ts")});
    const [host, current, dir] = ${JSON.stringify([host, current, lab.cache.dir])};
    await pruneImages(host, current, async () => true, console.error, new ImageCache(dir));`;
  const killed = await execa("node", ["--import", "tsx/esm", "--input-type=module", "--eval", code], {
    env: { PATH: `${bin}:${process.env.PATH}` },
    reject: false,
  });
  expect(killed.signal).toBe("SIGKILL");
  expect([existsSync(onHost(images.spare)), existsSync(markerOf(images.spare))]).toEqual([true, false]);
  expect(await prune()).toEqual([images.spare.name]);
  expect(existsSync(onHost(images.spare))).toBe(false);
  await lab.publish(images.spare);
});

describe("a base image that was written to", () => {
  const write = (byte: number) => execaSync("qemu-io", ["-c", `write -P ${byte} 0 512`, onHost(images.used)]);

  test("with what it had already, is suspected, verified, and free of suspicion", async () => {
    write(1);
    expect(await issues()).toMatchObject([
      {
        path: "Pulumi.local.yaml: projects.webapp",
        rule: expect.stringContaining(`${onHost(images.used)} on ${host.uri} may have been altered`),
        remedy: "compare its contents: `project-vm images verify --stack local`",
      },
    ]);
    const before = statSync(markerOf(images.used)).mtimeMs;
    requireWhole(await verify(), host);
    expect(statSync(markerOf(images.used)).mtimeMs).toBeGreaterThan(before);
    expect(readFileSync(markerOf(images.used), "utf8")).toBe(`${images.used.sha512}  ${images.used.name}\n`);
    expect(await issues()).toEqual([]);
  });

  test("with something else, is found out by its contents", async () => {
    write(9);
    const verdicts = await verify();
    const [found] = execaSync("sha512sum", [onHost(images.used)]).stdout.split(" ");
    expect(verdicts.filter(({ isWhole }) => !isWhole)).toMatchObject([
      { image: { name: images.used.name }, found, wanted: images.used.sha512 },
    ]);
    expect(() => requireWhole(verdicts, host)).toThrow(
      `${onHost(images.used)}: must have the SHA-512 ${images.used.sha512}, but has ${found}; on it: projects.webapp`,
    );
    expect(await issues()).toHaveLength(1);
    write(1);
    requireWhole(await verify(), host);
    expect(await issues()).toEqual([]);
  });

  test("and has lost its marker, gets it back when its contents are those of its name", async () => {
    rmSync(markerOf(images.used));
    requireWhole(await verify(), host);
    expect(readFileSync(markerOf(images.used), "utf8")).toBe(`${images.used.sha512}  ${images.used.name}\n`);
  });
});

test("a base image that is missing is named with who stands on it, until it is put back", async () => {
  const kept = path.join(host.dir, "kept.qcow2");
  renameSync(onHost(images.used), kept);
  const found = imageUsage(await lookAtImages(host), host.storageDir);
  expect(found.missing).toMatchObject([{ path: onHost(images.used), projects: ["webapp"] }]);
  expect(await issues()).toMatchObject([
    {
      path: "Pulumi.local.yaml: projects.webapp",
      rule: expect.stringContaining(`${onHost(images.used)} is missing`),
      remedy: expect.stringContaining(images.used.sha512.slice(0, 12)),
    },
  ]);
  renameSync(kept, onHost(images.used));
  await virsh.run("pool-refresh", "project-vms-base");
  expect(await issues()).toEqual([]);
});
