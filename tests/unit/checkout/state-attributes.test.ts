import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { prepareCheckout } from "../../../src/checkout/checkout.ts";
import { attributesIn, dropAttributes } from "../../../src/checkout/state-attributes.ts";
import { examineStateFiles } from "../../../src/operations/doctor/engine.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "attributes-"));
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

function write(file: string, text: string): string {
  const place = path.join(root, file);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, text);
  return place;
}

test("attributes of an older state go, empty or not; nothing else does, and none need be there", () => {
  dropAttributes(root);
  const state = path.join(root, ".local/state/.pulumi");
  const files = [
    "meta.yaml",
    "stacks/project-vms/local.json",
    "stacks/project-vms/local.json.bak",
    "locks/organization/project-vms/local/1.json",
    "history/project-vms/local/local-1.history.json",
  ];
  for (const [i, file] of files.entries()) {
    mkdirSync(path.dirname(path.join(state, file)), { recursive: true });
    writeFileSync(path.join(state, file), "{}");
    writeFileSync(path.join(state, `${file}.attrs`), i % 2 === 0 ? "" : "{}");
  }
  expect(attributesIn(path.join(root, ".local/state"))).toMatchObject({ files: { length: files.length }, unread: [] });
  dropAttributes(root);
  expect(attributesIn(path.join(root, ".local/state"))).toEqual({ files: [], empty: [], unread: [] });
  const left = readdirSync(state, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(left.map((entry) => path.relative(state, path.join(entry.parentPath, entry.name))).sort()).toEqual(
    files.sort(),
  );
});

test("in the folder of another backend that is used here only empty ones go, and none of what else Pulumi has in a home", () => {
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere`);
  const own = write(".local/state/.pulumi/stacks/project-vms/local.json.attrs", "{}");
  const empty = write("elsewhere/.pulumi/stacks/project-vms/local.json.attrs", "");
  const kept = [
    write("elsewhere/.pulumi/stacks/project-vms/other.json.attrs", "{}"),
    write("elsewhere/.pulumi/plugins/resource-x/x.attrs", ""),
    write("unused/.pulumi/stacks/project-vms/local.json.attrs", ""),
  ];
  prepareCheckout(root);
  expect([own, empty, ...kept].filter((file) => existsSync(file))).toEqual(kept);
});

test("links to folders are followed, also in a circle, and those that lead nowhere are not", () => {
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere`);
  const own = write("disk/own/project-vms/local.json.attrs", "{}");
  const empty = write("disk/stacks/project-vms/local.json.attrs", "");
  const beside = write("elsewhere/.pulumi/meta.yaml.attrs", "");
  mkdirSync(path.join(root, ".local/state/.pulumi"), { recursive: true });
  for (const [link, place] of [
    ["disk/own", ".local/state/.pulumi/stacks"],
    ["disk/stacks", "elsewhere/.pulumi/stacks"],
    ["elsewhere/.pulumi", "disk/stacks/project-vms/stacks"],
    ["disk/stacks/project-vms/itself", "disk/stacks/project-vms/itself"],
    ["nowhere", "elsewhere/.pulumi/history"],
  ] as const)
    symlinkSync(path.join(root, link), path.join(root, place));
  expect(attributesIn(path.join(root, "elsewhere"))).toMatchObject({ empty: { length: 2 }, unread: [] });
  dropAttributes(root);
  expect([own, empty, beside].filter((file) => existsSync(file))).toEqual([]);
});

test.each(["", "\0\0\0", " \n"])("in another backend, %j is as good as empty: no engine can read it", (text) => {
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere`);
  const file = write("elsewhere/.pulumi/stacks/project-vms/local.json.attrs", text);
  expect(attributesIn(path.join(root, "elsewhere")).empty).toEqual([file]);
  dropAttributes(root);
  expect(existsSync(file)).toBe(false);
});

test("what cannot be looked at is told, and keeps nothing from being prepared", () => {
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere`);
  write("elsewhere/.pulumi", "no folder");
  prepareCheckout(root);
  expect(attributesIn(path.join(root, "elsewhere")).unread).toEqual([path.join(root, "elsewhere/.pulumi")]);
});

test.each(["", "\0\0\0", "\n"])(
  "a note of the layout of %j, at which each engine fails, goes from the own backend alone",
  (text) => {
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere`);
    const own = write(".local/state/.pulumi/meta.yaml", text);
    const kept = write("elsewhere/.pulumi/meta.yaml", text);
    prepareCheckout(root);
    expect([own, kept].filter((file) => existsSync(file))).toEqual([kept]);
  },
);

test("the doctor names an empty note of the layout, and removes the own backend's, which the engine makes again", async () => {
  const examined = () => examineStateFiles(root, "local", () => undefined);
  const said = (file: string) => ({
    check: "state files",
    level: "failure",
    says: `each command of pulumi ends with "corrupt store": ${file} is empty, as a power cut leaves it`,
    remedy: `rm ${file}: the engine makes it again`,
  });
  write(".local/state/.pulumi/stacks/project-vms/local.json", "{}");
  const own = write(".local/state/.pulumi/meta.yaml", "\0");
  const [found, ...others] = await examined();
  expect([found, others]).toMatchObject([{ ...said(own), fix: "possible" }, []]);
  await found?.mend?.();
  expect([existsSync(own), await examined()]).toMatchObject([false, [{ level: "ok" }]]);
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere?metadata=skip`);
  const elsewhere = write("elsewhere/.pulumi/meta.yaml", "");
  expect(await examined()).toMatchObject([{ ...said(elsewhere), fix: "none" }]);
});

test("one that says anything stays as it is", () => {
  const file = write(".local/state/.pulumi/meta.yaml", "version: 1");
  prepareCheckout(root);
  expect(readFileSync(file, "utf8")).toBe("version: 1");
});
