import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scriptText } from "../../../src/project-disks/host-script.ts";

let dir: string;
let disk: string;
const ends: (() => void)[] = [];

beforeEach(() => {
  dir = mkdtempSync(path.join(realpathSync(tmpdir()), "no-program-"));
  disk = path.join(dir, "project.qcow2");
  mkdirSync(path.join(dir, "bin"));
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "1M"]);
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
  rmSync(dir, { recursive: true });
});

/** Puts a program before this machine's. */
const program = (name: string, text: string) =>
  writeFileSync(path.join(dir, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

/** What the script answers. */
async function look(file = disk, text = scriptText("no-program.sh"), user = {}) {
  const { exitCode, stdout, stderr } = await execa("sh", ["-c", text, "no-program.sh", file, "1"], {
    env: { PATH: `${dir}/bin:${process.env.PATH}` },
    reject: false,
    ...user,
  });
  return [exitCode, stdout + stderr];
}

/** A program that has the disk, once it has said that it listens. */
async function aProgram(): Promise<void> {
  const user = spawn("qemu-io", [disk], { stdio: ["pipe", "pipe", "ignore"] });
  ends.push(() => user.stdin.end("quit\n"));
  await new Promise((resolve) => user.stdout.once("data", resolve));
}

const free = [0, ""];
const refused = (rule: string, remedy: string) => [1, `error: ${disk}: must ${rule}\nremedy: ${remedy}`];
const used = () => refused("not be used by another program", `shut that down: fuser -v '${disk}'`);
const unreadable = () =>
  refused("be readable, or it cannot be known whether it is used", "run this as root, with qemu-img on the PATH");

describe("a look for a program that has a project disk", () => {
  test("passes one that no program has, one that is gone, and what is no image any more", async () => {
    expect(await look()).toEqual(free);
    expect(await look(path.join(dir, "gone"))).toEqual(free);
    expect(await look(path.join(disk, "gone"))).toEqual(free);
    writeFileSync(disk, "broken");
    expect(await look()).toEqual(free);
    writeFileSync(disk, Buffer.from("QFI\xfb\0\0\0\x09".padEnd(512, "\0"), "latin1"));
    expect(await look()).toEqual(free);
  });

  test("refuses one that a program has", async () => {
    await aProgram();
    expect(await look()).toEqual(used());
  });

  test.each([
    ["its image keeps qemu-img waiting", "exec sleep 60", "let be seen within 1 s whether a program uses it"],
    ["there is no qemu-img", "echo 'sh: qemu-img: not found' >&2; exit 127", "be readable, or it cannot be known"],
    ["qemu-img is killed", "kill $$", "let be seen whether a program uses it"],
    ["qemu-img fails otherwise", "echo 'out of memory' >&2; exit 1", "let be seen whether a program uses it"],
    [
      "a file that it names may not be read",
      `echo "qemu-img: Could not open '/x': Could not open data file: Permission denied" >&2; exit 1`,
      "be readable, or it cannot be known",
    ],
  ])("refuses one of which it is not known, for %s", async (_, text, rule) => {
    program("qemu-img", text);
    expect(await look()).toEqual([1, expect.stringContaining(`error: ${disk}: must ${rule}`)]);
  });

  test("refuses one where qemu-img is not on the PATH", async () => {
    const few = path.join(dir, "few");
    mkdirSync(few);
    for (const name of ["stat", "timeout", "tr", "sed"]) symlinkSync(`/usr/bin/${name}`, path.join(few, name));
    const { stderr } = await execa("/bin/sh", ["-c", scriptText("no-program.sh"), "no-program.sh", disk, "1"], {
      env: { PATH: few },
      extendEnv: false,
      reject: false,
    });
    expect([1, stderr]).toEqual(unreadable());
  });

  test("refuses one that cannot be looked at", async () => {
    const loop = path.join(dir, "loop");
    symlinkSync("loop", loop);
    expect(await look(loop)).toEqual([
      1,
      `error: ${loop}: must let itself be seen, or it cannot be known whether it is used\nremedy: run this as root; why: stat '${loop}'`,
    ]);
  });

  /** Such as a member of the host's group `libvirt`, to whom a project's folder is passable. */
  describe.skipIf(process.getuid?.() !== 0)("by a user who may not open it", () => {
    const other = { uid: 65534, gid: 65534, cwd: "/" };
    beforeEach(() => {
      chmodSync(dir, 0o711);
      chmodSync(disk, 0o600);
    });

    test("passes one that no program has, and refuses one that a program has", async () => {
      expect(await look(disk, undefined, other)).toEqual(free);
      await aProgram();
      expect(await look(disk, undefined, other)).toEqual(unreadable());
    });

    test.each([
      ["is on a server, whose locks by other machines are not listed", (text: string) => text, "echo nfs"],
      ["is on a kernel that lists no locks", (text: string) => text.replace("=/proc/locks", "=/nowhere"), undefined],
    ])("refuses one that %s", async (_, change, filesystem) => {
      if (filesystem) program("stat", `case $* in *-f*) ${filesystem} ;; *) exec /usr/bin/stat "$@" ;; esac`);
      expect(await look(disk, change(scriptText("no-program.sh")), other)).toEqual(unreadable());
    });

    test("does not take a file that he may open, but not what it names, for one that is free", async () => {
      chownSync(disk, other.uid, other.gid);
      program("qemu-img", `echo "qemu-img: Could not open '/x': Permission denied" >&2; exit 1`);
      expect(await look(disk, undefined, other)).toEqual(unreadable());
    });
  });
});
