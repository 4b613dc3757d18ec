import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownCache } from "../../../src/core/cache-folder.ts";
import { imageCacheDir } from "../../../src/images/cache.ts";
import { cacheFolder } from "../../../toolchain/ensure/places.ts";

let dir: string;
let base: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "cache-folder-"));
  base = path.join(dir, "base");
  mkdirSync(path.join(base, "project-vms"), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

const other = 1234;
const own = () => ownCache({ XDG_CACHE_HOME: base });

test("the cache is below XDG_CACHE_HOME, and need not be there yet", () => {
  expect(own()).toBe(path.join(base, "project-vms"));
  rmSync(base, { recursive: true });
  expect(own()).toBe(path.join(base, "project-vms"));
  expect(cacheFolder({ XDG_CACHE_HOME: base })).toBe(path.join(base, "project-vms/toolchain"));
  expect(imageCacheDir({ XDG_CACHE_HOME: base })).toBe(path.join(base, "project-vms/images"));
});

test("a link of one's own leads there, and a folder with the sticky bit may be on the way", () => {
  renameSync(base, path.join(dir, "disk"));
  symlinkSync(path.join(dir, "disk"), base);
  chmodSync(dir, 0o1777);
  expect(own()).toBe(path.join(base, "project-vms"));
  // Toolchains are noted, and processes known, by their real paths.
  expect(cacheFolder({ XDG_CACHE_HOME: base })).toBe(path.join(dir, "disk/project-vms/toolchain"));
});

test.skipIf(process.getuid?.() !== 0)("so may one of who has become root by sudo", () => {
  chownSync(base, other, other);
  expect(ownCache({ XDG_CACHE_HOME: base, SUDO_UID: String(other) })).toBe(path.join(base, "project-vms"));
});

describe.skipIf(process.getuid?.() !== 0)("one that another user can change is refused, with where and why:", () => {
  test.each<[string, () => void, string, string]>([
    ["the user's own", () => chownSync(path.join(base, "project-vms"), other, 0), "base/project-vms", "is user 1234's"],
    ["in a folder of the user's", () => chownSync(base, other, 0), "base", "is user 1234's"],
    ["in a folder for all", () => chmodSync(base, 0o777), "base", "may be written to by all users"],
    [
      "itself for all",
      () => chmodSync(path.join(base, "project-vms"), 0o707),
      "base/project-vms",
      "may be written to by all",
    ],
    ["further up", () => chmodSync(dir, 0o757), "", "may be written to by all users"],
    [
      "in a folder of a group",
      () => {
        chownSync(base, 0, other);
        chmodSync(base, 0o775);
      },
      "base",
      "may be written to by group 1234",
    ],
    [
      "by the user's link",
      () => {
        renameSync(base, path.join(dir, "disk"));
        symlinkSync(path.join(dir, "disk"), base);
        lchownSync(base, other, other);
      },
      "base",
      "is user 1234's",
    ],
    [
      "by a link into a folder of the user's",
      () => {
        renameSync(base, path.join(dir, "disk"));
        symlinkSync(path.join(dir, "disk"), base);
        chownSync(path.join(dir, "disk"), other, other);
      },
      "disk",
      "is user 1234's",
    ],
  ])("%s", (_, make, step, why) => {
    make();
    expect(own).toThrow(
      `The cache is not used.\n  - ${path.join(dir, step)}: must be a folder that no other user can change, but ${why}`,
    );
    expect(() => cacheFolder({ XDG_CACHE_HOME: base })).toThrow("XDG_CACHE_HOME");
    expect(() => imageCacheDir({ XDG_CACHE_HOME: base })).toThrow("XDG_CACHE_HOME");
  });
});
