import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { dropEmptyAttributes } from "../../../local/state-attributes.ts";

test("attributes that a killed engine left empty go; nothing else does, and none need be there", () => {
  const root = mkdtempSync(path.join(tmpdir(), "attributes-"));
  try {
    dropEmptyAttributes(root);
    const state = path.join(root, ".local/state/.pulumi");
    const [stacks, locks] = [path.join(state, "stacks/project-vms"), path.join(state, "locks/organization/x/local")];
    for (const dir of [stacks, locks]) mkdirSync(dir, { recursive: true });
    for (const file of ["local.json", "local.json.attrs", "storage.json"]) writeFileSync(path.join(stacks, file), "");
    writeFileSync(path.join(stacks, "storage.json.attrs"), "{}");
    writeFileSync(path.join(locks, "1.json.attrs"), "");
    dropEmptyAttributes(root);
    expect(readdirSync(stacks).sort()).toEqual(["local.json", "storage.json", "storage.json.attrs"]);
    expect(readdirSync(locks)).toEqual([]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
