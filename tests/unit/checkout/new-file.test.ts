import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeNew } from "../../../src/checkout/stack-file.ts";

/** The error of the filesystem's link(2), if it has none. */
const filesystem = vi.hoisted(() => ({ link: undefined as string | undefined }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const linkSync: typeof fs.linkSync = (from, to) => {
    if (filesystem.link === undefined) return fs.linkSync(from, to);
    throw Object.assign(new Error(`${filesystem.link}: link`), { code: filesystem.link });
  };
  return { ...fs, linkSync };
});

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "new-file-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

// Of exFAT and FAT, vboxsf, and FUSE or 9p without it.
describe.each([undefined, "EPERM", "EOPNOTSUPP", "ENOSYS"])("a new file where link ends with %s", (code) => {
  beforeEach(() => {
    filesystem.link = code;
  });

  test("is there, of its user's alone, and one that is there stays", () => {
    const file = path.join(dir, "passphrase");
    writeNew(file, "first");
    writeNew(file, "second");
    expect(readFileSync(file, "utf8")).toBe("first");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(["passphrase"]);
  });
});

test("what else a filesystem says of it is an error", () => {
  filesystem.link = "EROFS";
  expect(() => writeNew(path.join(dir, "passphrase"), "x")).toThrow("EROFS: link");
  expect(readdirSync(dir)).toEqual([]);
});
