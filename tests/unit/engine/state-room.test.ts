import { writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import path from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { applyStack } from "../../../src/engine/project-changes.ts";
import { PulumiDouble } from "./pulumi-double.ts";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({}) }));
vi.mock("node:fs/promises", async (original) => ({ ...(await original<object>()), statfs: vi.fn() }));

const double = new PulumiDouble();
const silent = () => undefined;
const full = { blocks: 1000, bavail: 1, bfree: 1, bsize: 4096 };
beforeEach(() => {
  vi.mocked(statfs).mockResolvedValue(full as never);
});

const apply = (mayBegin = false) => applyStack(double.place(mayBegin), async () => true, silent);

test("on a full disk no engine begins a stack", async () => {
  await expect(apply(true)).rejects.toThrow(/has too little room/);
  expect(double.asked()).not.toContain("stack init");
});

test("on a full disk no engine updates a stack", async () => {
  writeFileSync(path.join(double.root, "elsewhere/storage"), "");
  await expect(apply()).rejects.toThrow(/has too little room/);
  expect(double.asked()).not.toMatch(/^up /m);
});
