import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isGone, whyMayBeThere } from "../../../src/embedded-host/gone-folders.ts";

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(path.join(tmpdir(), "gone-")));
  for (const name of ["there", "there/a", "auto", "auto/nas", "auto/nas/work"]) mkdirSync(path.join(dir, name));
  writeFileSync(path.join(dir, "file"), "");
  symlinkSync("/mnt", path.join(dir, "disks"));
  symlinkSync(path.join(dir, "auto"), path.join(dir, "net"));
  symlinkSync("/nowhere/usb/a", path.join(dir, "link"));
  symlinkSync("loop", path.join(dir, "loop"));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** autofs at `auto`, with a share mounted at `auto/nas`. */
const mountinfo = () =>
  [
    ["/", "ext4"],
    [`${dir}/auto`, "autofs"],
    [`${dir}/auto/nas`, "nfs4"],
  ]
    .map(([point, type]) => `36 35 0:50 / ${point} rw shared:1 - ${type} x rw\n`)
    .join("");

test.each([
  ["there/b", true],
  ["there/a", false],
  ["none/b", false],
  ["file/b", false],
  ["loop/b", false],
  ["link", false],
  ["disks/usb/a", false],
  ["auto/b", false],
  ["auto/elsewhere/b", false],
  ["net/b", false],
  ["auto/nas/b", true],
  ["auto/nas/work/b", true],
  ["automatic", true],
])("a checkout at %s is certainly gone: %s", (name, is) => {
  expect(isGone(path.join(dir, name), mountinfo())).toBe(is);
});

test.each(["/media/me/usb/a", "/run/media/me/usb/a", "/mnt/a", "/mnt/nas/a", "a"])("nor is one at %s", (place) => {
  expect(isGone(place)).toBe(false);
});

test("one on a disk that is mounted below /mnt is gone where it is not on that, and one on /mnt itself may be on a disk that is away", () => {
  const below = (point: string) =>
    `36 35 0:50 / / rw shared:1 - ext4 x rw\n36 35 0:50 / ${point} rw shared:1 - ext4 x rw\n`;
  const rule = (folder: string, point: string) => whyMayBeThere(folder, below(point))?.rule;
  const away = "must be there to be looked at, for it is below /mnt, where disks are mounted that come and go";
  expect(rule("/mnt/a", "/mnt")).toBe(away);
  expect(rule("/mnt/a", "/mnt/b")).toBe(away);
  // There is no such folder here, which is the next thing that is looked at.
  expect(rule("/mnt/work/a", "/mnt/work")).toContain("must have /mnt/work above it");
});

test("what autofs mounts is named as that", () => {
  expect(whyMayBeThere(path.join(dir, "auto/b"), mountinfo())?.rule).toBe(
    "must be there to be looked at, for it is on what autofs mounts when it can",
  );
  expect(whyMayBeThere(path.join(dir, "there/a"), mountinfo())).toBeUndefined();
});
