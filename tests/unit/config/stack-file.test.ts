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
  expect(() => checkStackFile(file)).toThrow(UserError);
  expect(() => checkStackFile(file)).toThrow(
    /^Pulumi\.local\.yaml does not parse\.\n {2}- Pulumi\.local\.yaml: line \d+, column \d+: must be YAML: .+\n {4}mend that line; nothing of the file could be read/,
  );
});

test.each([
  ["a good file", "config:\n  project-vms:projects: {demo: {}}\n"],
  ["an empty file", ""],
])("%s is no mistake", (_, text) => {
  writeFileSync(file, text);
  expect(() => checkStackFile(file)).not.toThrow();
});

test("a file that is not there is no mistake", () => {
  expect(() => checkStackFile(path.join(dir, "Pulumi.none.yaml"))).not.toThrow();
});
