import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { overlayIssues } from "../../../src/lifecycle/overlays.ts";

let dir: string;
let disk: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "overlay's "));
  disk = path.join(dir, "project.qcow2");
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "1M"]);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const at = (name: string) => path.join(dir, name);
const lay = (name: string, base: string, ...options: string[]) =>
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", at(base), ...options, at(name)]);

/** The same with its data in a file beside it, as a raw disk's guest can write; every file of the host would do. */
function layWithData(name: string, base: string) {
  lay(name, base, "-o", `data_file=${at("data")}`);
  execaSync("qemu-io", ["-f", "qcow2", "-c", "write -P 0x53 0 64k", at(name)]);
}

/** Runs the command that is shown for these, each standing on the one before. */
async function writeBack(...names: string[]): Promise<void> {
  const volumes = ["project.qcow2", ...names].map((name, i, all) => {
    const below = all[i - 1];
    return { name, path: at(name), modified: i, ...(below === undefined ? {} : { backingPath: at(below) }) };
  });
  const [issue] = overlayIssues(volumes);
  const [, command = ""] = /write it back into ours: (.*); then move /.exec(issue?.remedy ?? "") ?? [];
  expect(command).toContain("qemu-img commit");
  await execa("sh", ["-c", command], { cwd: dir });
}

describe.skipIf(!existsSync("/usr/bin/qemu-io"))("the command that writes an overlay back into ours", () => {
  const holdsTheirs = () => readFileSync(disk).includes("SSSSSSSSSSSSSSSS");

  test("does so with what a snapshot left", async () => {
    lay("s1", "project.qcow2");
    execaSync("qemu-io", ["-f", "qcow2", "-c", "write -P 0x53 0 64k", at("s1")]);
    lay("s2", "s1");
    await writeBack("s1", "s2");
    expect(holdsTheirs()).toBe(true);
  });

  test.each<[string, () => void, string[]]>([
    ["names as its data", () => layWithData("scratch", "project.qcow2"), ["scratch"]],
    [
      "names so beneath another",
      () => {
        layWithData("scratch", "project.qcow2");
        lay("top", "scratch");
      },
      ["scratch", "top"],
    ],
  ])("writes no file of the host's into ours that a raw disk's guest %s", async (_, make, names) => {
    make();
    await writeBack(...names);
    expect(holdsTheirs()).toBe(false);
  });

  test("is of the files that are there, whatever they are called", async () => {
    lay("y';touch pwned;'", "project.qcow2");
    await writeBack("y';touch pwned;'");
    expect(existsSync(at("pwned"))).toBe(false);
  });
});

const own = { name: "project.qcow2", path: "/vms/demo/project.qcow2", modified: 10 };
const overlay = (name: string, base: string, modified = 20) => ({
  name,
  path: `/vms/demo/${name}`,
  backingPath: `/vms/demo/${base}`,
  modified,
});

test("overlays side by side are one issue: only one of them can be written back, and the others are copied first", () => {
  const both = "/vms/demo/s1 and /vms/demo/s3 stand on it side by side, each with what was written since a snapshot";
  const remedy =
    "only one of them can be written back into ours, which spoils the others: on the host, copy those first: qemu-img convert -O qcow2 <overlay> <copy>; then write that one back: qemu-img info --backing-chain <overlay> | grep 'data file:' || qemu-img commit -b /vms/demo/project.qcow2 <overlay>; then move all of them away";
  const issue = { path: own.path, rule: `must have no overlay, but ${both}`, remedy };
  const [s1, s2] = [overlay("s1", "project.qcow2"), overlay("s2", "project.qcow2")];
  expect(overlayIssues([own, s1, s2, overlay("s3", "s2")])).toEqual([issue]);
  // The same where they part further up.
  expect(overlayIssues([own, s2, overlay("s1", "s2"), overlay("s3", "s2")])).toEqual([issue]);
});

test("one in the project's folder on what is gone from it is an issue; one on what is elsewhere is none", () => {
  expect(overlayIssues([own, overlay("s2", "s1")])).toEqual([
    {
      path: "/vms/demo/s2",
      rule: "must stand on what is there, but /vms/demo/s1 is not: if that stood on our disk, as a snapshot leaves it, both have what was written since",
      remedy: "put /vms/demo/s1 back where it was; if /vms/demo/s2 is nothing of this project's disk, move it away",
    },
  ]);
  expect(overlayIssues([own, { ...overlay("s2", "s1"), backingPath: "/elsewhere/s1" }])).toEqual([]);
  expect(overlayIssues([own, overlay("s2", "s1")], ["/vms/demo/s2"])).toEqual([]);
});
