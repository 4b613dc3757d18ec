import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { attributesIn, dropAttributes } from "../../../local/state-attributes.ts";

test("attributes of an older state go, empty or not; nothing else does, and none need be there", () => {
  const root = mkdtempSync(path.join(tmpdir(), "attributes-"));
  try {
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
    expect(attributesIn(root)).toHaveLength(files.length);
    dropAttributes(root);
    expect(attributesIn(root)).toEqual([]);
    const left = readdirSync(state, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(left.map((entry) => path.relative(state, path.join(entry.parentPath, entry.name))).sort()).toEqual(
      files.sort(),
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
