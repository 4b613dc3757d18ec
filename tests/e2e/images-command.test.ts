import { existsSync } from "node:fs";
import { Command } from "commander";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { imagesCommand } from "../../cli/verbs/images.ts";
import type { ImageRow } from "../../src/images/report.ts";
import { BaseImageHost } from "./support/base-images.ts";

const lab = new BaseImageHost("images-command");
const { checkout, images } = lab;
const before = process.cwd();
let printed: string[];

beforeAll(async () => {
  await lab.create();
  const image = { kind: "url", url: "https://example.org/x.qcow2", sha512: "0".repeat(128) };
  checkout.configure({ image, projects: { webapp: {} } });
  process.chdir(checkout.dir);
  vi.stubEnv("XDG_CACHE_HOME", lab.scratch);
  vi.spyOn(console, "log").mockImplementation((line) => void printed.push(line));
  vi.spyOn(console, "error").mockImplementation((line) => void printed.push(line));
  vi.spyOn(process.stderr, "write").mockImplementation((line) => printed.push(String(line)) > 0);
});
afterAll(async () => {
  process.chdir(before);
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await checkout.remove();
});

/** `project-vm images …`, and all that it prints. */
async function run(...args: string[]): Promise<string> {
  printed = [];
  const program = new Command("project-vm").option("--stack <name>", "", "local").addCommand(imagesCommand());
  await program.parseAsync(["images", ...args], { from: "user" });
  return printed.join("\n");
}

/** Without the progress, whose lines begin with the time passed. */
const answers = (text: string) => text.replaceAll(/^\d\d:\d\d .*\n+/gm, "");

test("lists the images, for people and for programs", async () => {
  expect(await run()).toMatch(
    new RegExp(`^NAME +SIZE +STATE +ON IT\n(.*\n)?${images.used.name} .* whole +projects.webapp`),
  );
  const rows: ImageRow[] = JSON.parse(await run("--json"));
  expect(rows.find(({ name }) => name === images.used.name)).toEqual({
    name: images.used.name,
    path: lab.pathOf(images.used),
    state: "whole",
    capacity: 64 * 2 ** 20,
    allocation: expect.any(Number),
    projects: ["webapp"],
    others: [],
    domains: [],
  });
});

test("verifies them", async () => {
  expect(await run("verify")).toContain(`${images.used.name} is what it should be`);
  const { name, sha512 } = images.used;
  const rows: { name: string }[] = JSON.parse(answers(await run("verify", "--json")));
  expect(rows.find((row) => row.name === name)).toEqual({
    name,
    path: lab.pathOf(images.used),
    whole: true,
    found: sha512,
    wanted: sha512,
    projects: ["webapp"],
  });
});

test("prunes them when that is confirmed, and not where there is nobody to ask", async () => {
  Object.defineProperty(process.stdin, "isTTY", { value: false, configurable: true });
  await expect(run("prune")).rejects.toThrow("--yes: must be given where there is nobody to ask");
  expect(existsSync(lab.pathOf(images.spare))).toBe(true);
  expect(await run("prune", "--yes")).toContain(`goes:  ${images.spare.name}`);
  expect(existsSync(lab.pathOf(images.spare))).toBe(false);
  expect(existsSync(lab.pathOf(images.used))).toBe(true);
  expect(JSON.parse(answers(await run("prune", "--json")))).toEqual({
    done: true,
    removed: [],
    kept: [{ name: images.used.name, reason: "projects.webapp stands on it" }],
  });
});

test("says so when the pool of the base images is stopped", async () => {
  await checkout.virsh.run("pool-destroy", "project-vms-base");
  await expect(run()).rejects.toThrow("pool project-vms-base: must be active");
});
