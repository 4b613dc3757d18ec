import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  checkStackFile,
  refuseRemovals,
  refuseUnsaidRemovals,
  saysNothing,
} from "../../../src/checkout/read-stack-file.ts";
import { UserError } from "../../../src/core/errors.ts";
import { messageOf } from "../config/samples.ts";

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
  ["lists", `a: ${"[".repeat(200_000)}`],
  ["lists that end", `a: ${"[".repeat(5000)}${"]".repeat(5000)}`],
  ["maps", `a: ${"{a: ".repeat(5000)}`],
  ["lines of lists", `a:\n  ${"- ".repeat(5000)}1\n`],
])("%s that are nested without end are a mistake like others", (_, text) => {
  writeFileSync(file, text);
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).toThrow(
    "Pulumi.local.yaml does not parse.\n  - Pulumi.local.yaml: must be YAML: lists and maps are nested more than 100 deep\n    mend",
  );
});

test.each([
  ["a good file", "config:\n  project-vms:projects: {demo: {}}\n"],
  ["a comment", "# none yet\n"],
  ["a config without projects", "config: {}\n"],
  ["one that is nested 100 deep", `config: {"x:y": ${"[".repeat(98)}${"]".repeat(98)}}\n`],
])("%s is no mistake", (_, text) => {
  writeFileSync(file, text);
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).not.toThrow();
});

const putBack =
  "put it back, from your own copy or, where git keeps it, by `git checkout -- Pulumi.local.yaml`; a stack that is to have no projects says so in two lines: `config:` and, indented, `project-vms:projects: {}`";

test.each(["", "\n", " \t\r\n\n", "\0\0", "\ufeff", Buffer.from([0xff, 0xfe])])(
  "a file that a kill or a power cut emptied (%j) is refused, and is no stack without projects",
  (text) => {
    writeFileSync(file, text);
    expect(messageOf(() => checkStackFile(dir, "Pulumi.local.yaml"))).toBe(
      [
        "Pulumi.local.yaml is empty. Nothing was changed.",
        "  - Pulumi.local.yaml: must not be empty: an engine that is killed while it writes the file leaves it so, and an update would remove all VMs of the stack",
        `    ${putBack}`,
      ].join("\n"),
    );
  },
);

test.each([
  ["encryptionsalt: v1:abc=:v1:def:ghi=\n", true],
  ["secretsprovider: awskms://alias/x\nencryptedkey: abc\n", true],
  ["", true],
  ["encryptionsalt: v1:abc=\nconfig: {}\n", false],
  ["# none yet\nencryptionsalt: v1:abc=\n", false],
  ["config:\n  project-vms:projects: {}\nencryptionsalt: v1:abc=\n", false],
])("%j is what an engine leaves of an empty file: %s", (text, isIt) => {
  writeFileSync(file, text);
  expect(saysNothing(dir, "Pulumi.local.yaml")).toBe(isIt);
});

test.each([
  [["demo", "web"], "while there are VMs", "demo, web"],
  [undefined, "since it cannot be told here whether the stack has VMs", "all of them"],
])("what an update would remove by such a file, %j, is refused", (removed, when, which) => {
  expect(messageOf(() => refuseRemovals("Pulumi.local.yaml", removed))).toBe(
    [
      "Pulumi.local.yaml has no config. Nothing was changed.",
      `  - Pulumi.local.yaml: must have some${removed ? "" : ","} ${when}: an engine that is killed while it writes the file leaves it empty, and the next one notes its salt there; an update would remove ${which}`,
      `    ${putBack}`,
    ].join("\n"),
  );
  expect(() => refuseRemovals("Pulumi.local.yaml", [])).not.toThrow();
});

test.each([
  [["demo", "web"], "must not be left empty while there are VMs: an update would remove demo, web"],
  [
    undefined,
    "must not be left empty, since it cannot be told here whether the stack has VMs: an update would remove all of them",
  ],
])("what an update would remove by a key of the projects with nothing behind it, %j, is refused", (removed, rule) => {
  expect(messageOf(() => refuseUnsaidRemovals("Pulumi.local.yaml", removed))).toBe(
    [
      "Pulumi.local.yaml names no projects. Nothing was changed.",
      `  - Pulumi.local.yaml: projects: ${rule}`,
      "    write the entries below it, one a line and indented, e.g. `myapp: {}`; to have no projects: `project-vms:projects: {}`",
    ].join("\n"),
  );
  expect(() => refuseUnsaidRemovals("Pulumi.local.yaml", [])).not.toThrow();
});

const notYaml = (why: string) =>
  `Pulumi.local.yaml does not parse.\n  - Pulumi.local.yaml: must be YAML: ${why}\n    mend that line; nothing of the file could be read`;

test.each([
  [
    "x: a\n# b\u2028c\n",
    "line 2 has a character that ends a line to Pulumi: end lines in \\n or \\r\\n, and in double quotes write \\r, \\N, \\L or \\P for it",
  ],
  [
    "x: a\ry: b\r",
    "line 1 has a character that ends a line to Pulumi: end lines in \\n or \\r\\n, and in double quotes write \\r, \\N, \\L or \\P for it",
  ],
  ['x: "\\ud83d\\ude00"\n', "`\\ud83d` in quotes is half a letter, which Pulumi refuses: write the letter itself"],
  ["x: !!set {a}\n", "`!!set` is taken for something else by Pulumi: write a map, or a list of maps, without it"],
  ["x: !!int a\n", "`!!int` must stand before a value that is one: remove it"],
])("%j, which Pulumi reads in another way or not at all, is refused with what to do", (text, why) => {
  writeFileSync(file, text);
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).toThrow(notYaml(why));
});

test("environments are refused: what they add to the config is not in the file", () => {
  writeFileSync(file, "environment: [foo]\nconfig:\n  project-vms:projects: {demo: {}}\n");
  expect(() => checkStackFile(dir, "Pulumi.local.yaml")).toThrow(
    "Pulumi.local.yaml cannot be read.\n  - Pulumi.local.yaml: environment: must not be there: Pulumi Cloud alone knows what it adds to the config, and a backend of files refuses it\n    write its values below `config:`, and remove it",
  );
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
