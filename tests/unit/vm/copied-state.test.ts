import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { embeddedHostFor } from "../../../host/embedded-layout.ts";
import { isOnRemovedHost, refuseCopiedState } from "../../../vm/copied-state.ts";

let dir: string;
let origin: string;
let root: string;
beforeEach(() => {
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
