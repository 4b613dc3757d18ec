import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadStack } from "../../../cli/stack.ts";
import { GiB } from "../../../config/sizes.ts";
import { rememberedStack, rememberStack, stacksIn } from "../../../daily/checkout-folder.ts";
import { readOutline } from "../../../daily/outline.ts";

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
  expect(Object.keys((await readOutline("local", dir)).projects)).toEqual(["webapp", "api"]);
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

test.skipIf(process.getuid?.() !== 0)("a project that another user has put above is not used", async () => {
  const work = path.join(dir, "work");
  mkdirSync(work);
  chownSync(path.join(dir, "Pulumi.yaml"), 65534, 65534);
  const message = [
    "The Pulumi project here is not used.",
    `  - ${dir}/Pulumi.yaml: must belong to you, to root, or to the owner of the folder that you are in, but is "of user 65534"`,
    "    if it is meant to be used, make it yours: chown; else go to your checkout of Project VMs",
  ].join("\n");
  expect(() => rememberedStack(work)).toThrow(message);
  expect(() => loadStack("local", work)).toThrow(message);
  // The whole checkout is that user's, as in a container.
  chownSync(work, 65534, 65534);
  expect(rememberedStack(work)).toBe("local");
});

test("the stacks of a checkout are those that it has files for", () => {
  for (const stack of ["storage", "local"]) writeFileSync(path.join(dir, `Pulumi.${stack}.yaml`), "");
  expect(stacksIn(dir)).toEqual(["local", "storage"]);
});
