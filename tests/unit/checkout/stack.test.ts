import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadStack } from "../../../src/checkout/stack.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import { messageOf } from "../config/samples.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "stack-"));
  writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\n");
});
afterEach(() => rm(dir, { recursive: true }));

const stackFile = (name: string, text: string) => writeFileSync(path.join(dir, `Pulumi.${name}.yaml`), text);

describe("the stack that is named", () => {
  test("is read from its file, found from any folder below", () => {
    stackFile(
      "storage",
      `encryptionsalt: v1:abc
config:
  aws:region: eu-west-1
  project-vms:host: {uri: qemu+ssh://root@storage/system, storageDir: /srv/vms, network: default}
  project-vms:defaults: {memory: 4 GiB}
  project-vms:projects:
    myapp: {}
    webapp: {cpus: 2, autostart: true}
`,
    );
    mkdirSync(path.join(dir, "docs/deep"), { recursive: true });
    const stack = loadStack("storage", path.join(dir, "docs/deep"));
    expect(stack).toMatchObject({ name: "storage", root: dir, file: "Pulumi.storage.yaml" });
    expect(stack.host.settings).toMatchObject({ uri: "qemu+ssh://root@storage/system", storageDir: "/srv/vms" });
    expect(stack.config.projects).toMatchObject({ myapp: { cpus: 4 }, webapp: { cpus: 2, autostart: true } });
  });

  test.each(["# none\n", "config: {}\n", "config:\n"])(
    "without a host (%j) is on the checkout's embedded one",
    (text) => {
      stackFile("local", text);
      const { uri, storageDir } = embeddedHostFor(dir);
      expect(loadStack("local", dir).host.settings).toMatchObject({ uri, storageDir });
    },
  );

  test("may have secrets where only the engine needs them", () => {
    stackFile(
      "local",
      `config:
  tailscale:apiKey: {secure: v1:xyz}
  project-vms:headscaleApiKey: {secure: v1:xyz}
  project-vms:projects: {myapp: {cpus: 2}}
  project-vms:sshKeys: [{secure: v1:xyz}]
`,
    );
    expect(loadStack("local", dir).config.projects.myapp).toMatchObject({ cpus: 2 });
  });

  test.each([
    ["project-vms:host: {uri: {secure: v1:xyz}}", "host.uri", "host.uri"],
    ["project-vms:host: {secure: v1:xyz}", "host", "host"],
    ["host: {uri: 'qemu:///system', network: {name: {secure: v1:xyz}}}", "host.network.name", "host.network.name"],
    [
      "project-vms:projects: {my-app: {memory: {secure: v1:xyz}}}",
      "projects.my-app.memory",
      'projects["my-app"].memory',
    ],
    ["project-vms:projects: {secure: v1:xyz}", "projects", "projects"],
    ["project-vms:projects: {demo: {secure: v1:xyz}}", "projects.demo", "projects.demo"],
    ["project-vms:tailnet: {domain: {secure: v1:xyz}}", "tailnet.domain", "tailnet.domain"],
  ])("names a secret that is needed, and the command that writes it in the clear: %s", (line, place, way) => {
    stackFile("local", `config:\n  ${line}\n`);
    const message = messageOf(() => loadStack("local", dir));
    expect(message).toBe(`\
Pulumi.local.yaml has secrets in the way.
  - Pulumi.local.yaml: ${place}: is a secret, which project-vm does not decrypt
    write it in the clear: pulumi config set --plaintext --path 'project-vms:${way}' <value> --stack local; \
pulumi preview, pulumi up and make up can do with the secret`);
  });

  test("has its other mistakes beside them, and an unknown key stays one as a secret", () => {
    stackFile(
      "local",
      "config:\n  project-vms:projects: {a: {token: {secure: v1:x}, memory: {secure: v1:x}, cpus: 0}}\n  project-vms:x: {secure: v1:x}\n",
    );
    const message = messageOf(() => loadStack("local", dir));
    expect(message).toContain("Pulumi.local.yaml has 4 mistakes");
    for (const place of [
      "a.token: is an unknown key",
      "a.memory: is a secret",
      "a.cpus: must be at least 1",
      ".local.yaml: x: is an unknown",
    ]) {
      expect(message).toContain(place);
    }
    expect(message).not.toContain("v1:x");
  });

  test("is read as Pulumi does: keys without namespace, merges, values of Pulumi.yaml, its folder", () => {
    writeFileSync(
      path.join(dir, "Pulumi.yaml"),
      "name: project-vms\nstackConfigDir: stacks\nconfig: {defaults: {default: {memory: 1 GiB}}}\n",
    );
    mkdirSync(path.join(dir, "stacks"));
    stackFile("local", "config: {projects: {nobody: {}}}\n");
    writeFileSync(
      path.join(dir, "stacks/Pulumi.local.yaml"),
      "small: &small {cpus: 1}\nconfig:\n  projects:\n    webapp: {<<: *small}\n",
    );
    const { file, config } = loadStack("local", dir);
    expect([file, Object.keys(config.projects)]).toEqual(["stacks/Pulumi.local.yaml", ["webapp"]]);
    expect(config.projects.webapp).toMatchObject({ cpus: 1, memory: 2 ** 30 });
    expect(messageOf(() => loadStack("none", dir))).toContain("(stacks: local;");
  });

  test("that is not here is refused, with those that are", () => {
    stackFile("local", "");
    stackFile("storage", "");
    expect(messageOf(() => loadStack("storge", dir))).toBe(
      [
        "There is no stack storge here.",
        `  - ${dir}/Pulumi.storge.yaml: must be there`,
        "    did you mean `--stack storage`? (stacks: local, storage; `pulumi stack init storge` makes one)",
      ].join("\n"),
    );
  });

  test("whose config has mistakes shows all of them", () => {
    stackFile("local", "config:\n  project-vms:projects: {A: {}, b: {cpuz: 1}}\n");
    const message = messageOf(() => loadStack("local", dir));
    expect(message).toContain("Pulumi.local.yaml has 2 mistakes.");
    expect(message).toContain("did you mean `cpus`?");
  });

  test.each(["", "\n", "\0\0\0"])(
    "whose file was emptied (%j) is refused, not taken for one without projects",
    (text) => {
      stackFile("local", text);
      expect(messageOf(() => loadStack("local", dir))).toContain("Pulumi.local.yaml is empty. Nothing was changed.");
      writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\nstackConfigDir: stacks\n");
      mkdirSync(path.join(dir, "stacks"));
      writeFileSync(path.join(dir, "stacks/Pulumi.local.yaml"), text);
      expect(messageOf(() => loadStack("local", dir))).toContain("by `git checkout -- stacks/Pulumi.local.yaml`;");
    },
  );

  test("whose file is no YAML names the line", () => {
    stackFile("local", "config:\n  a: {\n");
    expect(messageOf(() => loadStack("local", dir))).toMatch(/Pulumi\.local\.yaml: line 3, column 1: must be YAML/);
  });
});

test("a folder that is in no Pulumi project is refused", async () => {
  const elsewhere = await mkdtemp(path.join(tmpdir(), "nowhere-"));
  expect(messageOf(() => loadStack("local", elsewhere))).toBe(
    [
      "There is no Pulumi project here.",
      `  - ${elsewhere}: must have a Pulumi.yaml, or be in a folder that has one`,
      "    go to your checkout of Project VMs",
    ].join("\n"),
  );
  await rm(elsewhere, { recursive: true });
});
