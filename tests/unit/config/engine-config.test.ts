import { describe, expect, test } from "vitest";
import { decodeText } from "../../../src/checkout/pulumi-files.ts";
import { readEngineConfig } from "../../../src/config/engine-config.ts";
import { parsePulumiProject, plainProject } from "../../../src/config/pulumi-project.ts";
import { UserError } from "../../../src/core/errors.ts";
import { pulumiVersion } from "../../../toolchain/plugin/version.ts";
import recording from "./corpus/answers.json" with { type: "json" };
import type { CorpusFile } from "./corpus/corpus-file.ts";
import { corpus } from "./corpus/stack-files.ts";

/** What the engine gave a program of each file, as record.ts noted it; null: it refused the file. */
const recorded = recording.answers as Record<string, Record<string, string> | null>;

/** As a program reads a value: JSON where it is JSON, and nothing as an empty text. With the order of keys. */
const asRead = (values: Record<string, unknown>) =>
  Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, JSON.stringify(parsed(value ?? ""))]);

function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function readAsWeDo({ text, project = "", projectName = "project-vms" }: CorpusFile) {
  const own = parsePulumiProject(`name: ${projectName}\nruntime: nodejs\n${project}`);
  return readEngineConfig(decodeText(Buffer.from(text), "Pulumi.local.yaml"), own, "Pulumi.local.yaml").values;
}

describe("what Pulumi gives a program is what the command line reads:", () => {
  test("all of the corpus is recorded with the engine that is used, and nothing else", () => {
    expect(recording.pulumiVersion, "record it again: corpus/record.ts").toBe(pulumiVersion);
    expect(Object.keys(recorded)).toEqual(corpus.map(({ name }) => name));
    expect(new Set(Object.keys(recorded)).size).toBe(corpus.length);
    expect(corpus.length).toBeGreaterThan(60);
  });

  test.each(corpus)("$name", (file) => {
    const answer = recorded[file.name];
    if (answer && file.refused) expect(() => readAsWeDo(file)).toThrow(file.refused);
    else if (answer) expect(asRead(readAsWeDo(file))).toEqual(asRead(answer));
    else expect(() => readAsWeDo(file)).toThrow(UserError);
  });
});

test("a file of many keys takes seconds, not minutes, to be read", () => {
  const text = `config:\n${Array.from({ length: 5000 }, (_, i) => `  other:k${i}: 1`).join("\n")}`;
  const started = Date.now();
  expect(Object.keys(readEngineConfig(text, parsePulumiProject(""), "Pulumi.local.yaml").values)).toHaveLength(5000);
  expect(Date.now() - started).toBeLessThan(10_000);
}, 60_000);

test("a key beside `config` that Pulumi passes over is refused: without its config, an update would remove all VMs", () => {
  const refused = (text: string) => {
    try {
      readEngineConfig(text, plainProject, "Pulumi.local.yaml");
    } catch (error) {
      return (error as Error).message;
    }
  };
  const known = "(known here: `config`, `secretsprovider`, `encryptedkey`, `encryptionsalt`, `environment`)";
  expect(refused("confg:\n  project-vms:projects: {app: {}}\nencryptionsalt: v1:x\n")).toBe(
    `Pulumi.local.yaml cannot be read.\n  - Pulumi.local.yaml: confg: is an unknown key\n    did you mean \`config\`? ${known}; beside \`project-vms:projects\`, be it \`{}\`, any key may stand`,
  );
  expect(refused("config: {}\nproject-vms:projects: {app: {}}\nproject-vms:host: {}\n")).toBe(
    [
      "Pulumi.local.yaml cannot be read.",
      '  - Pulumi.local.yaml: ["project-vms:host"]: is an unknown key',
      "    indent it, and what is below it, to be a key of `config:`",
      '  - Pulumi.local.yaml: ["project-vms:projects"]: is an unknown key',
      "    indent it, and what is below it, to be a key of `config:`",
    ].join("\n"),
  );
  const below = "is an unknown key\n    indent it, and what is below it, to be a key of `config:`";
  expect(refused("config: {}\nprojects: {app: {}}\n")).toContain(`projects: ${below}`);
  expect(refused("config: {project-vms:host: {}}\nprojects: {app: {}}\n")).toContain(`projects: ${below}`);
  expect(refused("config: {}\nconfg:\n  projects: {app: {}}\n")).toContain("did you mean `config`?");
  for (const fine of ["small: &small {memory: 2 GiB}\nconfig:\n  projects: {app: *small}\n", "encryptionsalt: v1:x\n"])
    expect(refused(fine)).toBeUndefined();
  const elsewhere = parsePulumiProject(
    "name: project-vms\nruntime: nodejs\nconfig: {projects: {default: {app: {}}}}\n",
  );
  expect(() => readEngineConfig("small: &small {}\nconfig: {defaults: *small}\n", elsewhere, "f")).not.toThrow();
});
