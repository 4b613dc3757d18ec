import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { filesThatClaim, requireProject, withProject } from "../../../src/engine/projects.ts";
import { messageOf } from "../config/samples.ts";

const root = mkdtempSync(path.join(tmpdir(), "projects-"));
afterAll(() => rmSync(root, { recursive: true }));
const stack = { name: "local", root, file: "Pulumi.local.yaml", isEmbedded: true, mayBeginElsewhere: false };
const text = "config:\n  project-vms:projects:\n    webapp: { memory: 4 GiB }\n";

test("a project that is there as it is asked for is finished, not written again", () => {
  expect(withProject(text, stack, "webapp", {})).toBe(text);
  expect(withProject(text, stack, "webapp", { memory: "4 GiB" })).toBe(text);
});

test("one that is there with other settings is refused", () => {
  expect(messageOf(() => withProject(text, stack, "webapp", { memory: "8 GiB" }))).toBe(
    [
      "Nothing was changed.",
      "  - Pulumi.local.yaml: projects.webapp: is there already",
      "    choose another name; `project-vm resize webapp` changes it, `project-vm destroy webapp` removes it",
    ].join("\n"),
  );
});

test("a name that cannot be is refused before anything is asked of the host", () => {
  expect(messageOf(() => withProject(text, stack, "My App", {}))).toContain("write `my-app`");
});

test("a project of another stack is pointed to", () => {
  writeFileSync(path.join(root, "Pulumi.storage.yaml"), "config:\n  project-vms:projects: { api: {} }\n");
  writeFileSync(path.join(root, "Pulumi.broken.yaml"), "config: {\n");
  expect(messageOf(() => requireProject(text, stack, "api"))).toBe(
    [
      "Nothing was changed.",
      "  - Pulumi.local.yaml: projects.api: must be there",
      "    it is in the stack storage: add `--stack storage`",
    ].join("\n"),
  );
});

test("one of no stack is told from those that there are", () => {
  expect(messageOf(() => requireProject(text, stack, "web"))).toContain(
    "projects there: webapp; a VM whose entry is gone",
  );
});

test("a disk is claimed by every stack on its host that has the project, and by one whose host or projects cannot be told", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "claims-"));
  try {
    writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\n");
    const write = (stack: string, uri: string, rest = "project-vms:projects: { api: {} }") =>
      writeFileSync(
        path.join(dir, `Pulumi.${stack}.yaml`),
        `config:\n  project-vms:host: { uri: "${uri}", storageDir: /vms }\n  ${rest}\n`,
      );
    write("here", "qemu:///system");
    write("spelt", "qemu+unix:///system?mode=direct");
    write("there", "qemu+ssh://root@storage/system");
    write("without", "qemu:///system", "project-vms:projects: { other: {} }");
    write("wrong", "mock:///");
    write("bare", "qemu:///system", "projects: { api: {} }");
    write("secret", "qemu:///system", "projects: { secure: v1:abc }");
    write("twice", "qemu:///system", "projects: {}\n  project-vms:projects: {}");
    writeFileSync(path.join(dir, "Pulumi.emptied.yaml"), "");
    const host = { uri: "qemu:///system", storageDir: "/vms" } as Parameters<typeof filesThatClaim>[2];
    expect(filesThatClaim(dir, "api", host).sort()).toEqual(
      ["bare", "emptied", "here", "secret", "spelt", "twice", "wrong"].map((stack) => `Pulumi.${stack}.yaml`),
    );
    expect(filesThatClaim(dir, "nobody", host)).toEqual([
      "Pulumi.emptied.yaml",
      "Pulumi.secret.yaml",
      "Pulumi.twice.yaml",
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
