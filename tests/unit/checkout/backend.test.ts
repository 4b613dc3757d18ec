import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { usedBackend } from "../../../src/checkout/backend.ts";
import { checkoutEnvironment } from "../../../src/checkout/checkout.ts";
import { readLocks } from "../../../src/checkout/stack-lock.ts";
import { nameBefore, readStackState } from "../../../src/checkout/stack-state.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "backend-%2F-"));
  yaml("backend:\n  url: file://./.local/state?metadata=skip\n");
});
afterEach(() => {
  delete process.env.PULUMI_BACKEND_URL;
  rmSync(root, { recursive: true });
});
const yaml = (text: string) => writeFileSync(path.join(root, "Pulumi.yaml"), `name: project-vms\n${text}`);
const used = (url?: string) => usedBackend(root, { PULUMI_BACKEND_URL: url });

test("without a word it is the checkout's own, also in a folder whose name looks encoded", () => {
  const own = { name: "file://./.local/state", folder: path.join(root, ".local/state"), isOwn: true };
  expect([used(), used("")]).toEqual([own, own]);
  expect(used(`file://${encodeURIComponent(root).replaceAll("%2F", "/")}/.local/state?metadata=skip`).isOwn).toBe(true);
});

test("the checkout's own is known through symbolic links, whichever of the two names has them", () => {
  const link = path.join(root, "link");
  symlinkSync(path.join(root, ".local"), link);
  const url = `file://${path.join(link, "state").replaceAll("%", "%25")}`;
  mkdirSync(path.join(root, ".local"));
  expect([used(`${url}?metadata=skip`).isOwn, used(`${url}/other`).isOwn]).toEqual([true, false]); // nothing was written yet
  mkdirSync(path.join(root, "disk"));
  symlinkSync(path.join(root, "disk"), path.join(root, ".local/state"));
  expect(used("file://./disk").isOwn).toBe(true);
  expect(used(url).isOwn).toBe(true);
});

test("in such a folder the engine is given the whole URL, encoded, and in no other", () => {
  const environment = checkoutEnvironment(root, {});
  const encoded = root.replaceAll("%", "%25");
  expect(environment.PULUMI_BACKEND_URL).toBe(`file://${encoded}/.local/state?metadata=skip`);
  // In a shell that has it, it is still the checkout's own.
  expect([used(environment.PULUMI_BACKEND_URL).isOwn, checkoutEnvironment(root, environment)]).toEqual([
    true,
    environment,
  ]);
  expect(checkoutEnvironment(root, { PULUMI_BACKEND_URL: "s3://bucket" })).not.toHaveProperty("PULUMI_BACKEND_URL");
  expect(checkoutEnvironment("/srv/checkout", {})).not.toHaveProperty("PULUMI_BACKEND_URL");
});

test.each([["file:///srv/checkout/.local/state"], ["file://./.local/state?no_tmp_dir=true"]])(
  "the checkout's own is named such that no attributes are written beside a state, also by %s",
  (url) => {
    const { PULUMI_BACKEND_URL } = checkoutEnvironment("/srv/checkout", { PULUMI_BACKEND_URL: url });
    expect(PULUMI_BACKEND_URL).toBe("file:///srv/checkout/.local/state?metadata=skip");
    expect(checkoutEnvironment("/srv/checkout", { PULUMI_BACKEND_URL })).not.toHaveProperty("PULUMI_BACKEND_URL");
  },
);

test.each<[string, string, string | undefined]>([
  ["file:///elsewhere", "file:///elsewhere", "/elsewhere"],
  ["file:///else%20where/?metadata=skip", "file:///else%20where/", "/else where"],
  ["file:///100%/state", "file:///100%/state", undefined],
  ["file://~", "file://~", homedir()],
  ["file://~/state", "file://~/state", path.join(homedir(), "state")],
  ["s3://bucket/x?region=eu", "s3://bucket/x", undefined],
  ["postgres://me:secret@db/pulumi?sslmode=require", "postgres://db/pulumi", undefined],
  ["https://api.pulumi.com", "https://api.pulumi.com", undefined],
  ["postgres://me:se@cr/et@db/pulumi?sslmode=require", "postgres://db/pulumi", undefined],
  ["postgres://me:s@ecret@db/pulumi", "postgres://db/pulumi", undefined],
  ["postgres://me:se?cret@db/pulumi", "postgres://…", undefined],
  ["postgres://me:se#cret@db/pulumi", "postgres://…", undefined],
  ["file:///srv/a@b/state", "file:///srv/a@b/state", "/srv/a@b/state"],
])("PULUMI_BACKEND_URL goes before Pulumi.yaml: %s", (url, name, folder) => {
  expect(used(url)).toEqual({ name, folder, isOwn: false });
});

test("a Pulumi.yaml without a backend leaves it to `pulumi login`", () => {
  yaml("");
  expect(used()).toEqual({ name: "that `pulumi login` chose", folder: undefined, isOwn: false });
});

test.each([
  ["merged", "backend:\n  <<: {url: s3://merged}\n", "s3://merged"],
  ["of the first document", "backend: {url: s3://first}\n---\nbackend: {url: s3://second}\n", "s3://first"],
  ["that is empty", "backend: {url: ''}\n", "that `pulumi login` chose"],
])("Pulumi.yaml's is read as the engine reads it: one %s", (_, text, name) => {
  yaml(text);
  expect(used().name).toBe(name);
});

test("a Pulumi.yaml that does not parse is told of with line and column", () => {
  yaml("backend: [\n");
  expect(() => used()).toThrow(
    /^Pulumi\.yaml does not parse\.\n {2}- Pulumi\.yaml: line \d+, column \d+: must be YAML: /,
  );
});

test("without a Pulumi.yaml it is the product's", () => {
  rmSync(path.join(root, "Pulumi.yaml"));
  expect(used()).toEqual({ name: "file://./.local/state", folder: path.join(root, ".local/state"), isOwn: true });
});

test("the state that is shown is the one of the backend that is used", async () => {
  const stacks = path.join(root, "elsewhere/.pulumi/stacks/project-vms");
  mkdirSync(stacks, { recursive: true });
  writeFileSync(path.join(stacks, "local.json"), '{"checkpoint":{}}');
  expect(await readStackState(root, "local")).toBeUndefined();
  process.env.PULUMI_BACKEND_URL = "file://./elsewhere";
  expect(await readStackState(root, "local")).toMatchObject({ vms: [], outputs: {} });
  process.env.PULUMI_BACKEND_URL = "s3://bucket";
  expect(await readStackState(root, "local")).toBeUndefined();
});

test("whether a stack was renamed is not known where its state is not read here", async () => {
  const before = async () => nameBefore(root, "local", await readStackState(root, "local"));
  expect(await before()).toEqual({ mayBeRenamed: false });
  const stacks = path.join(root, ".local/state/.pulumi/stacks/project-vms");
  mkdirSync(stacks, { recursive: true });
  const file = path.join(stacks, "local.json");
  const network = { type: "libvirt:index/network:Network", inputs: { domain: "old.project-vms.internal" } };
  const resources = [{ urn: "urn:pulumi:local::project-vms::n::x", ...network }];
  writeFileSync(file, JSON.stringify({ checkpoint: { latest: { resources } } }));
  expect(await before()).toEqual({ formerName: "old" });
  writeFileSync(file, "{");
  expect(await before()).toEqual({ mayBeRenamed: true });
  process.env.PULUMI_BACKEND_URL = "s3://bucket";
  expect(await before()).toEqual({ mayBeRenamed: true });
});

test("a state that the backend compresses is read as well, and what it wrote last holds", async () => {
  const stacks = path.join(root, ".local/state/.pulumi/stacks/project-vms");
  mkdirSync(stacks, { recursive: true });
  const state = (uri: string) =>
    JSON.stringify({
      checkpoint: { latest: { resources: [{ type: "pulumi:providers:libvirt", urn: "urn", inputs: { uri } }] } },
    });
  const write = (name: string, content: string | Buffer, minute: number) => {
    writeFileSync(path.join(stacks, name), content);
    utimesSync(path.join(stacks, name), minute * 60, minute * 60);
  };
  const uri = async () => (await readStackState(root, "local"))?.uri;
  write("local.json.gz", gzipSync(state("compressed")), 2);
  expect(await uri()).toBe("compressed");
  write("local.json", state("plain"), 2);
  expect(await uri()).toBe("compressed");
  write("local.json", state("plain"), 3);
  expect(await uri()).toBe("plain");
  write("local.json.gz", gzipSync(state("compressed")).subarray(0, 30), 4);
  expect(await readStackState(root, "local")).toBeUndefined();
  // Compressed by zstd, which Node 20 does not know: what was before it is not the state.
  write("local.json.zst", Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 6);
  write("local.json", state("plain"), 5);
  expect(await readStackState(root, "local")).toBeUndefined();
});

test("a project that was given another name in Pulumi.yaml has its state and its locks under that", async () => {
  writeFileSync(path.join(root, "Pulumi.yaml"), "name: my-vms\nbackend:\n  url: file://./.local/state\n");
  const state = path.join(root, ".local/state/.pulumi");
  const folders = [path.join(state, "stacks/my-vms"), path.join(state, "locks/organization/my-vms/local")] as const;
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folders[0], "local.json"), '{"checkpoint":{}}');
  const lock = { pid: 1, hostname: "laptop", username: "me" };
  const file = path.join(folders[1], "1.json");
  writeFileSync(file, JSON.stringify(lock));
  expect(await readStackState(root, "local")).toMatchObject({ vms: [], outputs: {} });
  expect(await readLocks(root, "local")).toEqual([{ ...lock, file }]);
});
