import { describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";

import { parseStackConfig } from "../../../src/config/parse.ts";
import { exampleFile } from "../../../src/config/reference.ts";
import { GiB, MiB } from "../../../src/core/sizes.ts";
import { asPulumi, ed25519, file } from "./samples.ts";

const parse = (config: Record<string, unknown>) => parseStackConfig(asPulumi(config), file);
const sizes = { memory: 8 * GiB, disk: 50 * GiB, rootDisk: 20 * GiB };
const builtIn = { ...sizes, cpus: 4, firmware: "bios", autostart: false, keepData: true };

describe("parseStackConfig", () => {
  it("takes a config that says nothing", () => {
    const nothing = {
      host: undefined,
      image: { kind: "build" },
      sshKeys: undefined,
      projects: {},
      sources: {},
      notices: [],
    };
    expect(parseStackConfig({}, file)).toEqual(nothing);
    expect(parse({ projects: {} })).toEqual(nothing);
    expect(parse({ projects: null, host: null, image: null, sshKeys: null, defaults: null })).toEqual(nothing);
    expect(parse({ projects: "", host: "" })).toEqual(nothing);
  });

  it("passes over the keys of other namespaces", () => {
    expect(parseStackConfig({ "libvirt:uri": "qemu:///system", "pulumi:tags": "{}" }, file).projects).toEqual({});
  });

  it("takes keys with and without the namespace", () => {
    expect(parseStackConfig({ projects: '{"myapp":{}}' }, file).projects).toEqual({ myapp: builtIn });
    expect(parseStackConfig({ "project-vms:projects": '{"myapp":{}}' }, file).projects).toEqual({ myapp: builtIn });
  });

  it("gives a project without settings the built-in defaults", () => {
    expect(parse({ projects: { myapp: {}, webapp: null } }).projects).toEqual({ myapp: builtIn, webapp: builtIn });
  });

  it("layers built-in defaults, the config's defaults and the project's own settings, and knows which is which", () => {
    const config = parse({
      defaults: { memory: "4 GiB", cpus: 2 },
      projects: { myapp: {}, webapp: { memory: "16 GiB", autostart: true } },
    });
    expect(config.projects).toEqual({
      myapp: { ...builtIn, memory: 4 * GiB, cpus: 2 },
      webapp: { ...builtIn, memory: 16 * GiB, cpus: 2, autostart: true },
    });
    const rest = {
      disk: "built-in",
      rootDisk: "built-in",
      firmware: "built-in",
      autostart: "built-in",
      keepData: "built-in",
      backup: "built-in",
    };
    const own = { memory: "defaults", cpus: "defaults", ...rest };
    expect(config.sources).toEqual({ myapp: own, webapp: { ...own, memory: "project", autostart: "project" } });
  });

  it("reads 50G as 50 GiB and says so", () => {
    const config = parse({
      defaults: { disk: "60G" },
      projects: { myapp: { disk: "50G", memory: "512M" }, webapp: {} },
    });
    expect(config.projects.myapp).toMatchObject({ disk: 50 * GiB, memory: 512 * MiB });
    expect(config.notices).toEqual([
      'Pulumi.local.yaml: defaults.disk: "60G" is read as 60 GiB',
      'Pulumi.local.yaml: projects.myapp.disk: "50G" is read as 50 GiB',
      'Pulumi.local.yaml: projects.myapp.memory: "512M" is read as 512 MiB',
    ]);
  });

  it("is at ease with names that objects have of themselves", () => {
    expect(parse({ projects: { constructor: { cpus: 1 } } }).projects.constructor).toEqual({ ...builtIn, cpus: 1 });
  });

  it("takes SSH keys", () => {
    expect(parse({ sshKeys: [`${ed25519} `] }).sshKeys).toEqual([ed25519]);
  });

  it("takes a published image", () => {
    const url = "https://images.example/debian.qcow2";
    const image = { kind: "url", url, sha512: "A".repeat(128) };
    expect(parse({ image }).image).toEqual({ kind: "url", url, sha512: "a".repeat(128) });
  });

  it.each([
    [undefined, { kind: "managed", name: "project-vms", cidr: "10.77.0.0/24" }],
    [{ cidr: "10.9.0.0/16" }, { kind: "managed", name: "project-vms", cidr: "10.9.0.0/16" }],
    [{ name: "mine" }, { kind: "managed", name: "mine", cidr: "10.77.0.0/24" }],
    ["default", { kind: "existing", name: "default" }],
    ["my lan's 2nd", { kind: "existing", name: "my lan's 2nd" }],
  ])("takes the network %j", (network, expected) => {
    expect(parse({ host: { uri: "qemu:///system", network } }).host).toEqual({
      uri: "qemu:///system",
      storageDir: "/var/lib/project-vms",
      network: expected,
      virtualization: "auto",
    });
  });

  it.each([
    "qemu:///system",
    "qemu+ssh://root@storage/system",
    "qemu+ssh://root@storage:2222/system?keyfile=/root/.ssh/id_ed25519",
    "qemu+unix:///system?socket=/run/a/libvirt-sock",
    "qemu+tls://storage.example/system",
  ])("takes the host URI %s", (uri) => {
    expect(parse({ host: { uri } }).host?.uri).toBe(uri);
  });

  it("tidies storageDir", () => {
    expect(parse({ host: { uri: "qemu:///system", storageDir: "/srv//vms/" } }).host?.storageDir).toBe("/srv/vms");
  });

  it("takes the example of the reference", () => {
    const { config } = parseYaml(exampleFile) as { config: Record<string, unknown> };
    const raw = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, JSON.stringify(value)]));
    expect(Object.keys(parseStackConfig(raw, file).projects)).toEqual(["myapp", "webapp"]);
  });
});
