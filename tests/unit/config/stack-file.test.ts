import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { UserError } from "../../../config/errors.ts";
import { checkStackFile } from "../../../config/stack-file.ts";

const dir = mkdtempSync(path.join(tmpdir(), "stack-file-"));
const file = path.join(dir, "Pulumi.local.yaml");
afterAll(() => rmSync(dir, { recursive: true }));

test("what does not parse is named with file, line and column", () => {
  writeFileSync(file, "config:\n  project-vms:projects:\n    demo: {memory: 8 GiB\n    other: }\n  x: [\n");
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).toThrow(UserError);
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).toThrow(
    /^Pulumi\.local\.yaml does not parse\.\n {2}- Pulumi\.local\.yaml: line \d+, column \d+: must be YAML: .+\n {4}mend that line; nothing of the file could be read/,
  );
});

test.each([
  ["a good file", "config:\n  project-vms:projects: {demo: {}}\n"],
  ["an empty file", ""],
])("%s is no mistake", (_, text) => {
  writeFileSync(file, text);
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).not.toThrow();
});

test("a file that is not there is no mistake", () => {
  expect(() => checkStackFile(dir, "Pulumi.none.yaml")).not.toThrow();
});

test("a key that is written with and without its namespace is refused: Pulumi takes one of them by chance", () => {
  writeFileSync(file, "config:\n  projects: {demo: {}}\n  project-vms:projects: {shop: {}}\n");
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).toThrow(
    "Pulumi.local.yaml: config: must have each key once, but has `project-vms:projects` and `projects`, which are the same to Pulumi",
  );
});
