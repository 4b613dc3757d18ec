import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { wantsUplink } from "../../../src/embedded-host/uplink-setting.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "uplink-setting-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const host = (settings: string) => `config:\n  project-vms:host: ${settings}\n`;
const none = "config: {}\n";
const remote = host("{uri: 'qemu+ssh://root@storage/system'}");

test.each<[string, Record<string, string>, boolean]>([
  ["a stack that says nothing", { "Pulumi.local.yaml": "config:\n  project-vms:projects: {demo: {}}\n" }, true],
  ["an empty stack", { "Pulumi.local.yaml": none }, true],
  ["a stack whose file was emptied, in which anything may have been", { "Pulumi.local.yaml": "" }, false],
  ["one that wants it", { "Pulumi.local.yaml": host("{uplink: true}") }, true],
  ["one that does not", { "Pulumi.local.yaml": host("{uplink: false}") }, false],
  ["one that says so without namespace", { "Pulumi.local.yaml": "config: {host: {uplink: false}}\n" }, false],
  [
    "one that says so in Pulumi.yaml",
    { "Pulumi.yaml": "config: {host.uplink: {default: false}}\n", "Pulumi.local.yaml": none },
    false,
  ],
  ["one that says so as JSON", { "Pulumi.local.yaml": host(`'{"uplink": false}'`) }, false],
  ["one that wants it as JSON", { "Pulumi.local.yaml": host(`'{"uplink": true}'`) }, true],
  ["one with a secret there", { "Pulumi.local.yaml": host("{secure: v1:abc}") }, false],
  ["one whose name has a dot", { "Pulumi.local.yaml": none, "Pulumi.dev.1.yaml": host("{uplink: false}") }, false],
  ["two of which one does not", { "Pulumi.a.yaml": none, "Pulumi.b.yaml": host("{uplink: false}") }, false],
  ["one on the embedded host, one elsewhere", { "Pulumi.local.yaml": none, "Pulumi.storage.yaml": remote }, true],
  ["none on the embedded host", { "Pulumi.storage.yaml": remote }, false],
  ["none at all", { "Pulumi.yaml": "name: project-vms\n" }, false],
  ["one that does not parse", { "Pulumi.local.yaml": "config: [" }, false],
  ["one with something else there", { "Pulumi.local.yaml": host('{uplink: "no"}') }, false],
])("the guests of a checkout with %s", (_, files, wanted) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(dir, name), text);
  expect(wantsUplink(dir)).toBe(wanted);
});

test("the guests of a checkout that is gone have no way out", () => {
  expect(wantsUplink("/nonexistent/checkout")).toBe(false);
});
