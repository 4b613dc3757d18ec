import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { prepareCheckout } from "../../../src/checkout/checkout.ts";
import { loadStack } from "../../../src/checkout/stack.ts";
import { messageOf } from "../config/samples.ts";

const repository = path.resolve(import.meta.dirname, "../../..");
const example = readFileSync(path.join(repository, "make/Pulumi.local.yaml"), "utf8");
let root: string;
beforeEach(() => {
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
  root = mkdtempSync(path.join(tmpdir(), "first-stack-file-"));
  put("Pulumi.yaml", "name: project-vms\nbackend: {url: 'file://./.local/state?metadata=skip'}\n");
  put("make/Pulumi.local.yaml", example);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

function put(name: string, text: string): void {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}
const file = () => path.join(root, "Pulumi.local.yaml");
const textOf = () => readFileSync(file(), "utf8");

test("a new clone has the file of the first stack made for it, which says one project and is readable like any other", () => {
  prepareCheckout(root);
  expect(textOf()).toBe(example);
  expect(statSync(file()).mode & 0o777).toBe(0o666 & ~0o022 & ~process.umask());
  expect(Object.keys(loadStack("local", root).config.projects)).toEqual(["demo"]);
});

test("the one that is there stays, whatever is in it", () => {
  for (const text of ["config: {}\n", ""]) {
    put("Pulumi.local.yaml", text);
    prepareCheckout(root);
    expect(textOf()).toBe(text);
  }
});

test("another stack's state is no sign that this one was begun", () => {
  put(".local/state/.pulumi/stacks/project-vms/storage.json", "{}");
  put(".local/state/.pulumi/stacks/project-vms/localhost.json", "{}");
  prepareCheckout(root);
  expect(textOf()).toBe(example);
});

test.each([
  ["has a state", "stacks/project-vms/local.json"],
  ["has a compressed state", "stacks/project-vms/local.json.gz"],
  ["has the copy of a state that was lost", "stacks/project-vms/local.json.bak"],
  ["had a state", "history/project-vms/local/local-1.history.json"],
])("a file that was lost of a stack that %s is not made: the example would remove the stack's VMs", (_, trace) => {
  put(`.local/state/.pulumi/${trace}`, "{}");
  prepareCheckout(root);
  expect(() => textOf()).toThrow("ENOENT");
  const remedy =
    "where it was begun before, put its file back, from your own copy; else `pulumi stack init local` makes one)";
  expect(messageOf(() => loadStack("local", root))).toContain(remedy);
});

test("nor where the state is in another backend, which is not asked", () => {
  vi.stubEnv("PULUMI_BACKEND_URL", "s3://bucket");
  prepareCheckout(root);
  expect(() => textOf()).toThrow("ENOENT");
});

test("it is made where Pulumi.yaml has the stacks' files", () => {
  put("Pulumi.yaml", `${readFileSync(path.join(root, "Pulumi.yaml"), "utf8")}stackConfigDir: stacks\n`);
  prepareCheckout(root);
  expect(readFileSync(path.join(root, "stacks/Pulumi.local.yaml"), "utf8")).toBe(example);
});

test("who asks for the stack before that is told what makes it", () => {
  expect(messageOf(() => loadStack("local", root))).toContain("`make up` makes one");
});

test("git keeps the example, and not what becomes of it", () => {
  const ignored = execaSync("git", ["check-ignore", "--no-index", "Pulumi.local.yaml", "make/Pulumi.local.yaml"], {
    cwd: repository,
    reject: false,
  });
  expect(ignored.stdout).toBe("Pulumi.local.yaml");
});
