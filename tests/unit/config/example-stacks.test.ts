import { execaSync } from "execa";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { parseStackConfig, type StackConfig } from "../../../src/config/parse.ts";
import { macAddress } from "../../../src/core/names.ts";
import { GiB, TiB } from "../../../src/core/sizes.ts";
import { asPulumi } from "./samples.ts";

const stacks = ["local", "storage", "raider"] as const;
const fileOf = (stack: string) => `Pulumi.${stack}.yaml`;
/** As they are committed: the engine notes a salt in a stack's file, and its user adds projects. */
const committed = (stack: string) => (stack === "local" ? `make/${fileOf(stack)}` : fileOf(stack));
const textOf = (stack: string) =>
  execaSync("git", ["show", `:${committed(stack)}`], { stripFinalNewline: false }).stdout;

function parsed(stack: string): StackConfig {
  const { config } = parseYaml(textOf(stack)) as { config: Record<string, unknown> };
  const own = Object.entries(config).map(([key, value]) => [key.replace("project-vms:", ""), value]);
  return parseStackConfig(asPulumi(Object.fromEntries(own)), fileOf(stack));
}

test.each(stacks)("the stack %s keeps all rules, and nothing of it has to be read in another way", (stack) => {
  expect(parsed(stack).notices).toEqual([]);
});

test.each(stacks)("editors check and complete the stack %s by the schema", (stack) => {
  expect(textOf(stack).split("\n")[0]).toBe("# yaml-language-server: $schema=src/config/schema.json");
});

test.each(stacks)("the stack %s is bound to nobody's account: no secret, no salt of a passphrase", (stack) => {
  expect(Object.keys(parseYaml(textOf(stack)))).toEqual(["config"]);
  expect(textOf(stack)).not.toMatch(/secure:|tskey-/);
});

describe("the examples of hosts elsewhere", () => {
  const [storage, raider] = [parsed("storage"), parsed("raider")];

  test.each([
    [storage, "qemu+ssh://root@storage/system"],
    [raider, "qemu+ssh://root@raider:2222/system?keyfile=/home/me/.ssh/raider&sshauth=privkey"],
  ])("%# are reached by ssh, with a tailnet", ({ host, tailnet }, uri) => {
    expect(host).toMatchObject({ uri, storageDir: "/var/lib/project-vms", virtualization: "kvm" });
    expect(tailnet).toMatchObject({ domain: "tail1234.ts.net", tag: "tag:project-vm" });
  });

  test("show what a project can say itself, and what it has from the defaults", () => {
    expect(storage.projects).toMatchObject({
      docs: { memory: 4 * GiB, disk: 100 * GiB, autostart: true, keepData: true, backup: { every: "1d", keep: 7 } },
      shop: { memory: 16 * GiB, disk: 500 * GiB, autostart: true, backup: { every: "6h", keep: 28 } },
      scratch: { keepData: false },
    });
    expect(raider.projects).toMatchObject({
      compiler: { memory: 64 * GiB, cpus: 24, disk: 50 * GiB },
      models: { memory: 16 * GiB, disk: TiB, backup: { every: "1w", keep: 4 } },
    });
    expect(raider.projects.compiler?.backup).toBeUndefined();
  });

  test("have nothing in common that must be one's own in a tailnet and in reach of each other", () => {
    const names = [...Object.keys(storage.projects), ...Object.keys(raider.projects)];
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(names.map(macAddress)).size).toBe(names.length);
    expect(storage.host?.network).not.toEqual(raider.host?.network);
  });
});
