import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import { isOnRemovedHost, refuseCopiedState } from "../../../src/lifecycle/copied-state.ts";

/** Places on disks that are not mounted. */
const disks = vi.hoisted(() => ({ away: [] as string[] }));
vi.mock("../../../src/embedded-host/local-mounts.ts", () => ({
  whyAway: (place: string) =>
    disks.away.some((one) => place.startsWith(one))
      ? { path: place, rule: "must be mounted", remedy: "mount it" }
      : undefined,
}));

let dir: string;
let origin: string;
let root: string;
beforeEach(() => {
  disks.away = [];
  dir = realpathSync(mkdtempSync(path.join(tmpdir(), "copied-")));
  [origin, root] = [path.join(dir, "a"), path.join(dir, "b")];
  for (const folder of [origin, root, path.join(dir, "hosts/a")]) mkdirSync(folder, { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

const hostOf = (checkout: string) => ({
  ...embeddedHostFor(checkout),
  dir: path.join(dir, "hosts", path.basename(checkout)),
});
const demo = () => ({ project: "demo", checkout: origin });

describe("a teardown by a state that was made in another folder", () => {
  test("is refused while that is there: it was copied", () => {
    expect(() => refuseCopiedState(demo(), root)).toThrow(
      [
        "The VM of demo is not removed.",
        `  - ${root}/.local/state: must be this checkout's own state, but was copied from ${origin}, whose VMs these are`,
        `    begin with a state of this checkout's own: rm -r ${root}/.local/state, then make up; to remove that VM, go to ${origin}`,
      ].join("\n"),
    );
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(false);
  });

  test("asks that host where the folder was moved, as long as the host is there", () => {
    rmSync(origin, { recursive: true });
    refuseCopiedState(demo(), root);
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(false);
    rmSync(path.join(dir, "hosts/a"), { recursive: true });
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(true);
    rmSync(path.join(dir, "hosts"), { recursive: true });
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(false);
  });

  const notKnown =
    "The VM of demo is not removed: whether the checkout that this state was made in is gone is not known.";

  test("is refused while that folder is on a disk that is not mounted", () => {
    rmSync(origin, { recursive: true });
    disks.away = [origin];
    expect(() => refuseCopiedState(demo(), root)).toThrow(`${notKnown}\n  - ${origin}: must be mounted\n    mount it`);
  });

  test("is refused while the folder above that one is missing, with a word for one that is gone for good", () => {
    const checkout = path.join(dir, "locked/a");
    expect(() => refuseCopiedState({ project: "demo", checkout }, root)).toThrow(
      [
        notKnown,
        `  - ${checkout}: must have ${dir}/locked above it, or it may be on a disk that is not mounted, or in a home that is locked`,
        `    mount or unlock it, then try again; if it is gone for good, say so: mkdir -p ${dir}/locked`,
      ].join("\n"),
    );
    mkdirSync(path.join(dir, "locked"));
    refuseCopiedState({ project: "demo", checkout }, root);
  });

  test("is refused while that folder cannot be looked at", () => {
    const loop = path.join(dir, "loop");
    symlinkSync(loop, loop);
    const checkout = path.join(loop, "a");
    expect(() => refuseCopiedState({ project: "demo", checkout }, root)).toThrow(
      [
        notKnown,
        `  - ${checkout}: must let itself be looked at, for its VMs are its own while it is there`,
        `    mend what keeps it from being seen, then try again: stat ${checkout}`,
      ].join("\n"),
    );
  });

  test("does not take a host for removed whose folder is on a disk that is not mounted, or cannot be looked at", () => {
    rmSync(path.join(dir, "hosts/a"), { recursive: true });
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(true);
    disks.away = [path.join(dir, "hosts")];
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(false);
    disks.away = [];
    symlinkSync("a", path.join(dir, "hosts/a"));
    expect(isOnRemovedHost(demo(), root, hostOf)).toBe(false);
  });
});

test("a teardown in the folder itself goes on, also through a link to it, or where no folder is noted", () => {
  symlinkSync(origin, path.join(dir, "link"));
  rmSync(path.join(dir, "hosts/a"), { recursive: true });
  for (const [teardown, folder] of [
    [demo(), origin],
    [demo(), path.join(dir, "link")],
    [{ project: "demo" }, root],
  ] as const) {
    refuseCopiedState(teardown, folder);
    expect(isOnRemovedHost(teardown, folder, hostOf)).toBe(false);
  }
});
