import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, describe, expect, test } from "vitest";
import type { ImageSettings, ProjectSettings } from "../../../src/config/settings.ts";
import { ImageCache } from "../../../src/images/cache.ts";
import { imageIdentity } from "../../../src/images/image.ts";
import { stoppedPools } from "../../../src/images/look-at-images.ts";
import { currentImages, planPrune } from "../../../src/images/prune.ts";
import type { BaseImage } from "../../../src/images/usage.ts";
import { baseImage, named } from "./samples.ts";

const [a, b] = [named("a"), named("b")];
const known = { digests: ["b".repeat(12)], isComplete: true };
const plan = (image: BaseImage, current = known) => planPrune({ images: [image], missing: [] }, current, 10_000);
const reason = (image: BaseImage, current = known) => plan(image, current).keep[0]?.reason;

describe("a prune", () => {
  test("removes an image on which nothing stands, and which no new VM will get", () => {
    const image = baseImage(a, { modified: 1000 });
    expect(plan(image)).toEqual({ remove: [image], keep: [] });
  });

  test("removes what a prune before left without its marker", () => {
    expect(plan(baseImage(a, { marker: undefined, modified: 1000 })).keep).toEqual([]);
  });

  test.each<[string, Partial<BaseImage>]>([
    ["projects.webapp stands on it", { projects: ["webapp"] }],
    ["projects.api, projects.webapp, /x/y.qcow2 stand on it", { projects: ["api", "webapp"], others: ["/x/y.qcow2"] }],
    ["the domain rescue stands on it", { domains: ["rescue"] }],
    ["when it was uploaded is not known", {}],
    ["it was uploaded less than an hour ago, maybe for a VM to come", { modified: 9_000 }],
  ])("keeps an image: %s", (why, differs) => {
    const image = baseImage(a, differs);
    expect(plan(image)).toEqual({ remove: [], keep: [{ image, reason: why }] });
  });

  test("keeps the image that new VMs get", () => {
    expect(reason(baseImage(b))).toBe("new VMs of this stack stand on it");
  });

  test("keeps every image when it is not known which one new VMs get", () => {
    expect(reason(baseImage(a), { digests: [], isComplete: false })).toBe(
      "new VMs of this stack may stand on it: which image they get was not built here yet",
    );
  });
});

describe("the images that new VMs get", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "prune-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const cache = new ImageCache(dir);
  const url = (digit: string): ImageSettings => ({ kind: "url", url: "https://x/y.qcow2", sha512: digit.repeat(128) });
  const project = (image?: ImageSettings): ProjectSettings => ({
    ...{ memory: 0, cpus: 1, disk: 0, rootDisk: 0, firmware: "bios" as const, autostart: false, keepData: true },
    image,
  });

  test("are told by the config's digests: the stack's image and those of projects", () => {
    const projects = { webapp: project(url("C")), api: project() };
    expect(currentImages({ image: url("a"), projects }, cache)).toEqual({
      digests: ["a".repeat(12), "c".repeat(12)],
      isComplete: true,
    });
  });

  test("are not known before the image was built on this machine, and are then", async () => {
    const config = { image: { kind: "build" }, projects: { webapp: project(url("c")) } } as const;
    expect(currentImages(config, cache)).toEqual({ digests: ["c".repeat(12)], isComplete: false });
    const identity = imageIdentity(config.image);
    const file = cache.partial(identity);
    const image = await cache.keep(identity, file, async () => {
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "64M"]);
    });
    expect(currentImages(config, cache)).toEqual({
      digests: [image.sha512.slice(0, 12), "c".repeat(12)],
      isComplete: true,
    });
    rmSync(image.file);
    writeFileSync(image.file, "another");
    expect(currentImages(config, cache).isComplete).toBe(false);
  });
});

test("a pool that is stopped hides what may stand on a base image, but for a console's folder that a killed update has left", () => {
  const pool = (name: string, path: string, active = false) => ({ name, path, active });
  const host = { uri: "qemu:///system", storageDir: "/vms" };
  const pools = [
    pool("project-web", "/vms/web", true),
    pool("web.console", "/vms/web.console"),
    pool("web.console", "/clones/web.console"),
    pool("clones", "/clones"),
  ];
  expect(stoppedPools(pools, host)).toEqual([
    {
      path: "pool web.console",
      rule: "must be active, or what is in it cannot be seen, and may stand on a base image",
      remedy: "start it: `virsh -c qemu:///system pool-start web.console`",
    },
    expect.objectContaining({ path: "pool clones" }),
  ]);
});
