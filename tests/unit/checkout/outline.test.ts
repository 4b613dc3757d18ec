import { chmodSync, lchownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkoutOf, rememberedStack, rememberStack } from "../../../src/checkout/checkout-folder.ts";
import { readOutline } from "../../../src/checkout/outline.ts";
import { loadStack } from "../../../src/checkout/stack.ts";
import { stacksIn } from "../../../src/checkout/stack-names.ts";
import { GiB } from "../../../src/core/sizes.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "outline-"));
  writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\n");
});
afterEach(() => rm(dir, { recursive: true }));

const configure = (projects: string) =>
  writeFileSync(path.join(dir, "Pulumi.local.yaml"), `config:\n  project-vms:projects: ${projects}\n`);

test("an outline has what the config says, with its defaults", async () => {
  configure("{webapp: {memory: 4 GiB}}");
  const outline = await readOutline("local", dir);
  expect(outline).toMatchObject({ stack: "local", root: dir, file: "Pulumi.local.yaml" });
  expect(outline.projects).toEqual({ webapp: { memory: 4 * GiB, cpus: 4, disk: 50 * GiB, rootDisk: 20 * GiB } });
});

test("the second time it is as it was kept, from any folder below, until the file is edited", async () => {
  configure("{webapp: {}}");
  const first = await readOutline("local", dir);
  mkdirSync(path.join(dir, "docs"));
  expect(await readOutline("local", path.join(dir, "docs"))).toEqual(first);
  configure("{webapp: {}, api: {}}");
  expect(Object.keys((await readOutline("local", dir)).projects)).toEqual(["api", "webapp"]);
});

test("an edit of Pulumi.yaml counts too", async () => {
  configure("{webapp: {}}");
  const before = await readOutline("local", dir);
  writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\nconfig: {defaults: {default: {cpus: 7}}}\n");
  expect([before.projects.webapp?.cpus, (await readOutline("local", dir)).projects.webapp?.cpus]).toEqual([4, 7]);
});

test("a config with mistakes is told each time, and is not kept", async () => {
  configure("{webapp: {}}");
  await readOutline("local", dir);
  configure("{Webapp: {}}");
  for (let i = 0; i < 2; i++)
    await expect(readOutline("local", dir)).rejects.toThrow("Pulumi.local.yaml has 1 mistake");
});

test("what was kept and cannot be read is made again", async () => {
  configure("{webapp: {}}");
  const first = await readOutline("local", dir);
  writeFileSync(path.join(dir, ".local/outlines/local.json"), "{");
  expect(await readOutline("local", dir)).toEqual(first);
  expect(JSON.parse(readFileSync(path.join(dir, ".local/outlines/local.json"), "utf8")).outline).toEqual(first);
});

test("the stack is `local` until another is made the one to work on", () => {
  expect(rememberedStack(dir)).toBe("local");
  rememberStack(dir, "storage");
  mkdirSync(path.join(dir, "docs"));
  expect(rememberedStack(path.join(dir, "docs"))).toBe("storage");
  expect(rememberedStack("/")).toBe("local");
});

describe.skipIf(process.getuid?.() !== 0)("a project of another user's above", () => {
  const nobody = 65534;
  let work: string;
  beforeEach(() => {
    work = path.join(dir, "work");
    mkdirSync(work);
    configure("{}");
  });
  const own = (name: string) => lchownSync(path.join(dir, name), nobody, nobody);

  test.each(["Pulumi.yaml", "Pulumi.local.yaml"])("by its %s is not used, and keeps nobody from the help", (name) => {
    own(name);
    expect(() => loadStack("local", work)).toThrow(
      [
        "The Pulumi project here is not used.",
        `  - ${dir}/${name}: must belong to you, to root, or to the owner of the folder that you are in`,
        "    if it is meant to be used, make it yours: chown; else go to your checkout of Project VMs",
      ].join("\n"),
    );
    expect(rememberedStack(work)).toBe("local");
    expect(checkoutOf(work)).toBeUndefined();
  });

  test.each(["stacks", "stacks/Pulumi.local.yaml"])("by its %s is not used, where Pulumi.yaml leads", (name) => {
    writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\nstackConfigDir: stacks\n");
    mkdirSync(path.join(dir, "stacks"));
    writeFileSync(path.join(dir, "stacks/Pulumi.local.yaml"), "config: {project-vms:projects: {}}\n");
    expect(checkoutOf(work)).toBe(dir);
    own(name);
    expect(checkoutOf(work)).toBeUndefined();
  });

  test("by a link of that user's is not used either", () => {
    rmSync(path.join(dir, "Pulumi.yaml"));
    symlinkSync("/dev/null", path.join(dir, "Pulumi.yaml"));
    expect(checkoutOf(work)).toBe(dir);
    own("Pulumi.yaml");
    expect(checkoutOf(work)).toBeUndefined();
  });

  test("in a folder that cannot be listed is not used, and keeps nobody from the help", () => {
    chmodSync(dir, 0o711);
    process.seteuid?.(nobody);
    try {
      expect(() => loadStack("local", work)).toThrow(
        [
          "The Pulumi project here is not used.",
          `  - ${dir}: must be a folder that you may list (EACCES)`,
          "    go to your checkout of Project VMs",
        ].join("\n"),
      );
      expect(rememberedStack(work)).toBe("local");
    } finally {
      process.seteuid?.(0);
    }
  });

  test("that one stands in is used: so it is in a container", () => {
    for (const name of ["Pulumi.yaml", "Pulumi.local.yaml", "work"]) own(name);
    expect(checkoutOf(work)).toBe(dir);
  });
});

test("the stacks of a checkout are those that it has files for", () => {
  for (const stack of ["storage", "local"]) writeFileSync(path.join(dir, `Pulumi.${stack}.yaml`), "");
  expect(stacksIn(dir)).toEqual(["local", "storage"]);
  writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\nstackConfigDir: nowhere\n");
  expect(stacksIn(dir)).toEqual([]);
});
