import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const functions = readFileSync("src/embedded-host/embedded-inside.sh", "utf8").replace(/^main "\$@"$/m, "");
let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "inside-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** What is said in a mount namespace with a tmpfs at $d, by a script that ends at an error, as the host's first process does. */
async function inside(script: string) {
  const words = `d=$1; eval "$2"; set -e; mount -t tmpfs tmpfs "$d"; ${script}; echo goes on`;
  const { stdout, stderr } = await execa("unshare", ["--mount", "sh", "-c", words, "sh", root, functions], {
    reject: false,
  });
  return { said: stdout.split("\n"), stderr };
}

/** Each mount goes right before it is let go of, as one that another process takes away. */
const goesBefore = 'umount() { command umount -l "$2"; command umount "$@"; }';

describe("the first process of a host lets go of", () => {
  test.each([
    ["a mount", 'mkdir "$d/shm"; mount -t tmpfs tmpfs "$d/shm"'],
    [
      "one upon another",
      'mount -t tmpfs tmpfs "$d"; mkdir "$d/a"; mount -t tmpfs tmpfs "$d/a"; mount -t tmpfs tmpfs "$d/a"',
    ],
    ["one with a blank in its path, as any user makes one by FUSE", 'mkdir "$d/a b"; mount -t tmpfs tmpfs "$d/a b"'],
    [
      "one with a blank that is the outermost itself",
      'umount "$d"; mkdir "$d/a b" "$d/a \\\\040"; mount -t tmpfs tmpfs "$d/a b"; mount -t tmpfs tmpfs "$d/a \\\\040"',
    ],
  ])("%s", async (_, mounts) => {
    const { said, stderr } = await inside(`${mounts}; let_go_of "$d"; grep -cF " $d" /proc/self/mountinfo || :`);
    expect({ said, stderr }).toEqual({ said: ["0", "goes on"], stderr: "" });
  });

  test("one that goes meanwhile", async () => {
    const mounts = 'mkdir "$d/a"; mount -t tmpfs tmpfs "$d/a"';
    expect((await inside(`${mounts}; ${goesBefore}; let_go_of "$d"`)).said).toEqual(["goes on"]);
  });

  test("no path that another user can lead elsewhere", async () => {
    // It may have become a link when it is its turn.
    const mounts = `mkdir "$d/shm" "$d/own"; mount -t tmpfs tmpfs "$d/own"; mount -t tmpfs tmpfs "$d/shm"`;
    const asked = 'umount() { echo "$2" >&2; command umount "$@"; }';
    expect(await inside(`${mounts}; ${asked}; let_go_of "$d"`)).toEqual({ said: ["goes on"], stderr: `${root}` });
  });

  test("none that stays: it ends", async () => {
    const { said, stderr } = await inside('umount() { echo "umount: must not" >&2; return 32; }; let_go_of "$d"');
    expect({ said, stderr }).toEqual({ said: [""], stderr: "umount: must not" });
  });

  const netns = (name: string) => `: >"$d/${name}"; mount --bind /proc/self/ns/net "$d/${name}"`;
  const left = 'grep -cF " $d/" /proc/self/mountinfo || :';

  test.each([
    ["a namespace with a blank in its name", netns("a b"), "0"],
    ["a namespace that goes meanwhile, as a container's", `${netns("a")}; ${goesBefore}`, "0"],
    // As on a machine with systemd: `ip netns` mounts its folder upon itself, and the two share what is mounted in them.
    [
      "a namespace that is mounted twice, by `ip netns` in a shared folder",
      `mount --make-shared "$d"; mkdir "$d/netns"; mount --bind "$d/netns" "$d/netns"; ${netns("netns/a")}; mount --make-rslave /`,
      "2",
    ],
  ])("%s", async (_, mounts, mountsLeft) => {
    const { said, stderr } = await inside(`${mounts}; hide_machine; ${left}`);
    expect(stderr.replaceAll(/^umount: .*not mounted\.$/gm, "").trim()).toBe("");
    expect(said).toEqual([mountsLeft, "goes on"]);
  });
});
