import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepingFile } from "../../../engine/stack-file.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, writeFileSync: vi.fn(real.writeFileSync) };
});

const text = "config:\n  project-vms:projects: {app: {}}\n";
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "keeping-"));
  file = path.join(folder, "Pulumi.local.yaml");
  writeFileSync(file, text);
});
afterEach(() => {
  vi.mocked(writeFileSync).mockReset();
  rmSync(folder, { recursive: true });
});

/** From now on the disk has no room for another file, and in those that are there for so many bytes; the rest is not written. */
async function fillDisk(room: number): Promise<void> {
  const real = await vi.importActual<typeof import("node:fs")>("node:fs");
  vi.mocked(writeFileSync).mockImplementation((place, data, options) => {
    const isNew = !real.existsSync(place as string);
    const given = Buffer.from(data as Uint8Array);
    if (!isNew) real.writeFileSync(place, given.subarray(0, room), options);
    if (isNew || given.length > room) throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
  });
}

/** An engine that is stopped after it has emptied the file. */
async function stopped(room: number): Promise<never> {
  writeFileSync(file, "");
  await fillDisk(room);
  throw new Error("the engine's own error");
}

test("on a full disk a file that an engine emptied is put back in place, and the engine's error stays", async () => {
  await expect(keepingFile(file, () => stopped(1000))).rejects.toThrow("the engine's own error");
  expect([readFileSync(file, "utf8"), readdirSync(folder)]).toEqual([text, ["Pulumi.local.yaml"]]);
});

test("it is put back where a link leads, which stays", async () => {
  const link = path.join(folder, "link.yaml");
  symlinkSync("Pulumi.local.yaml", link);
  await expect(keepingFile(link, () => stopped(1000))).rejects.toThrow("the engine's own error");
  expect([readFileSync(file, "utf8"), readdirSync(folder)]).toEqual([text, ["Pulumi.local.yaml", "link.yaml"]]);
});

test("where not even that has room it stays empty, since half of it would be fewer projects", async () => {
  await expect(keepingFile(file, () => stopped(10))).rejects.toThrow("the engine's own error");
  expect(readFileSync(file, "utf8")).toBe("");
});

test("that it could not be put back is told where the engine had no error of its own", async () => {
  const work = () => stopped(10).catch(() => "done");
  await expect(keepingFile(file, work)).rejects.toThrow("ENOSPC");
});
