import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadStack } from "../../../cli/stack.ts";
import { embeddedHostFor } from "../../../host/embedded.ts";
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

  test.each(["", "config: {}\n", "config:\n"])("without a host (%j) is on the checkout's embedded one", (text) => {
    stackFile("local", text);
    const { uri, storageDir } = embeddedHostFor(dir);
    expect(loadStack("local", dir).host.settings).toMatchObject({ uri, storageDir });
  });

  test("may have secrets, which are left out", () => {
    stackFile(
      "local",
      `config:
  project-vms:anything: {secure: v1:xyz}
  project-vms:projects: {myapp: {cpus: 2, token: {secure: v1:xyz}}}
  project-vms:sshKeys: [{secure: v1:xyz}, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@laptop"]
`,
    );
    const { config } = loadStack("local", dir);
    expect(config.projects.myapp).toMatchObject({ cpus: 2 });
    expect(config.sshKeys).toHaveLength(1);
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
