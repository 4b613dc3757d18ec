import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { seedIso } from "../../../src/cloud-init/seed-iso.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "seed-iso-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

test.skipIf(!existsSync("/usr/bin/xorriso"))("a seed is made whatever the user has xorriso do at its start", () => {
  writeFileSync(path.join(dir, ".xorrisorc"), "-rollback_end\n");
  vi.stubEnv("HOME", dir);
  const iso = seedIso("project-web", { userData: "#cloud-config\n", metaData: "instance-id: web\n" }, dir);
  expect(readFileSync(iso).includes("instance-id: web")).toBe(true);
});
