import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { defaults } from "../../../src/config/defaults.ts";
import { schemaFile, schemaText, stackFileSchema } from "../../../src/config/json-schema.ts";
import { referenceFile, referenceKeys, referenceText } from "../../../src/config/reference.ts";
import { stackSchema, vmKeys } from "../../../src/config/schema.ts";

describe("what is generated from the schema", () => {
  it("src/config/schema.json is fresh (else: npm run generate)", () => {
    expect(readFileSync(schemaFile, "utf8")).toBe(schemaText());
  });

  it("docs/config.md is fresh (else: npm run generate)", () => {
    expect(readFileSync(referenceFile, "utf8")).toBe(referenceText());
  });
});

describe("the documentation", () => {
  const keys = referenceKeys();

  it("has every key", () => {
    expect(keys.map(({ path }) => path.join("."))).toEqual([
      "host",
      "host.uri",
      "host.storageDir",
      "host.network",
      "host.network.name",
      "host.network.cidr",
      "host.virtualization",
      "host.uplink",
      "image",
      "image.kind",
      "image.url",
      "image.sha512",
      "sshKeys",
      "tailnet",
      "tailnet.domain",
      "tailnet.tag",
      "tailnet.server",
      "tailnet.keyFile",
      "tailnet.headscale",
      "tailnet.headscale.user",
      "tailnet.reusable",
      "tailnet.keyExpiry",
      "headscaleApiKey",
      "defaults",
      ...vmKeys.map((key) => `defaults.${key}`),
      "defaults.backup.every",
      "defaults.backup.keep",
      "projects",
      "projects.<name>.rebuild",
      "projects.<name>.image",
    ]);
    expect(Object.keys(stackSchema.shape)).toEqual(
      keys.filter(({ path }) => path.length === 1).map(({ path }) => path[0]),
    );
  });

  it.each(keys)(
    "says of $path what it is for, its default and what changing it does",
    ({ docs, default: value, required }) => {
      expect(docs.purpose).toMatch(/\.$/);
      expect(docs.changing).toMatch(/\.$/);
      expect(docs.example).not.toBe("");
      expect([docs.absent !== undefined, required, value !== undefined].filter(Boolean)).toHaveLength(1);
    },
  );

  it("gives the defaults of the one table, all of them", () => {
    const documented = Object.fromEntries(keys.map(({ path, default: value }) => [path.join("."), value]));
    expect(documented).toMatchObject({
      ...prefixed("host", defaults.host),
      ...prefixed("host.network", defaults.host.network),
      ...prefixed("tailnet", defaults.tailnet),
      ...prefixed("defaults", defaults.vm),
      image: defaults.image,
    });
    expect(Object.keys(defaults)).toEqual(["host", "image", "tailnet", "vm"]);
  });

  it("gives a unit for every figure", () => {
    const withUnit = keys.filter(({ docs }) => docs.unit).map(({ path }) => path.at(-1));
    expect(withUnit).toEqual(["memory", "cpus", "disk", "rootDisk", "keep"]);
  });
});

describe("the JSON Schema of a stack file", () => {
  const config = stackFileSchema().properties?.config;

  it("has the keys with their namespace and refuses others of it, but not those of other namespaces", () => {
    const [pattern = ""] = Object.keys(config?.patternProperties ?? {});
    expect(Object.keys(config?.properties ?? {})).toContain("project-vms:projects");
    expect("project-vms:projcts").toMatch(new RegExp(pattern));
    expect("project-vms:projects").not.toMatch(new RegExp(pattern));
    expect("libvirt:uri").not.toMatch(new RegExp(pattern));
  });

  it("requires no key of which there is a default", () => {
    expect(config?.required).toBeUndefined();
    expect(config?.properties?.["project-vms:host"]?.required).toBeUndefined();
    expect(config?.properties?.["project-vms:host"]?.anyOf).toEqual([{ required: ["uri"] }, { required: ["uplink"] }]);
    expect(config?.properties?.["project-vms:defaults"]?.required).toBeUndefined();
  });
});

function prefixed(prefix: string, table: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [`${prefix}.${key}`, value]));
}
