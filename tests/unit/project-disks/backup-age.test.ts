import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backupAge } from "../../../src/project-disks/backup-age.ts";
import { lookAtBackups, parseFound } from "../../../src/project-disks/backup-look.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";

const now = new Date("2026-03-14T12:00:00Z");
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
const newest = (hours: number) => ({ newest: hoursAgo(hours) });

describe("backups every 6h", () => {
  test.each([
    ["one from now", [0], 1000, { ...newest(0), overdue: false }],
    ["one from exactly twice that time ago", [12], 1000, { ...newest(12), overdue: false }],
    ["one older than that", [12.1], 1000, { ...newest(12.1), overdue: true }],
    ["the newest of several counts, in whatever order they are", [40, 3, 20], 1000, { ...newest(3), overdue: false }],
    ["one stamped in the future hides nothing", [20, -5], 1000, { ...newest(20), overdue: true }],
    ["only one stamped in the future is none", [-5], 1000, { newest: null, overdue: true }],
    ["none, of a disk that is new", [], 11, { newest: null, overdue: false }],
    ["none, of a disk that is older", [], 13, { newest: null, overdue: true }],
    ["none, of a disk of which nobody knows how old it is", [], null, { newest: null, overdue: true }],
    ["none, of a disk that is made in the future", [], -5, { newest: null, overdue: true }],
    ["an old one, of a disk that was made after it", [500], 5, { ...newest(500), overdue: true }],
    ["none, and no disk", [], undefined, { newest: null, overdue: false }],
    ["an old one that stayed when its disk went", [500], undefined, { ...newest(500), overdue: false }],
  ])("%s", (_, backups, disk, expected) => {
    const found = {
      now,
      disks: new Map(disk === undefined ? [] : [["myapp", disk === null ? null : hoursAgo(disk)] as const]),
      backups: new Map([["myapp", backups.map(hoursAgo)]]),
    };
    expect(backupAge("myapp", "6h", found)).toEqual({ every: "6h", ...expected });
  });

  test("are not known where nobody could look", () => {
    expect(backupAge("myapp", "6h", undefined)).toEqual({ every: "6h", newest: null, overdue: null });
  });
});

test("what a host printed is read, and what is none of ours is left out", () => {
  const printed = [
    "now 1773489600",
    "disk 1700000000 myapp/project.qcow2",
    "stat: cannot statx 'api/project.qcow2': No such file or directory",
    "disk 0 old/project.qcow2",
    "backups/myapp/myapp-20260314T110000Z.qcow2",
    "backups/myapp/other-20260314T110000Z.qcow2",
    "backups/myapp/myapp-20269999T110000Z.qcow2",
    "backups/api/*.qcow2",
  ].join("\n");
  expect(parseFound(printed)).toEqual({
    now,
    disks: new Map([
      ["myapp", new Date(1_700_000_000_000)],
      ["old", null],
    ]),
    backups: new Map([["myapp", [new Date("2026-03-14T11:00:00Z")]]]),
  });
});

describe("a look at a host", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "backups of a host's "));
  });
  afterEach(() => rm(dir, { recursive: true }));
  const look = (...projects: string[]) => lookAtBackups({ uri: "qemu:///system", storageDir: dir }, projects);
  const write = (...files: string[]) => {
    for (const file of files) {
      mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
      writeFileSync(path.join(dir, file), "");
    }
  };

  test("finds the disks that there are and the backups that are finished, of those projects alone", async () => {
    write("myapp/project.qcow2", "other/project.qcow2", "backups/other/other-20260314T110000Z.qcow2");
    const backup = "backups/myapp/myapp-20260314T110000Z.qcow2";
    write(backup, `${backup}.sha512`, "backups/myapp/myapp-20260315T110000Z.qcow2");
    const found = await look("myapp", "api");
    expect(Math.abs(Date.now() - found.now.getTime())).toBeLessThan(60_000);
    expect([...found.disks.keys()]).toEqual(["myapp"]);
    expect(found.backups).toEqual(new Map([["myapp", [new Date("2026-03-14T11:00:00Z")]]]));
  });

  test.each(["", "nowhere"])("on which nothing was made yet finds nothing", async (folder) => {
    const found = await lookAtBackups({ uri: "qemu:///system", storageDir: path.join(dir, folder) }, ["myapp"]);
    expect([found.disks.size, found.backups.size]).toEqual([0, 0]);
  });

  test("at files that its disk cannot read is an error, too", async () => {
    write("myapp/project.qcow2", "bin/none");
    const fails = "#!/bin/sh\necho \"$0: cannot access '$5$2': Input/output error\" >&2; exit 1\n";
    for (const name of ["stat", "ls"]) writeFileSync(path.join(dir, "bin", name), fails, { mode: 0o755 });
    const env = { PATH: `${dir}/bin:${process.env.PATH}` };
    for (const [script, ...args] of [
      ["newest-backups.sh", dir, "myapp"],
      ["read-disk.sh", dir, "myapp"],
      ["list-backups.sh", dir],
    ]) {
      const { exitCode, stdout, stderr } = await execa(
        "sh",
        [path.resolve("src/project-disks", script as string), ...args],
        {
          env,
          reject: false,
        },
      );
      expect([exitCode, stdout.includes("none"), stderr]).toEqual([
        1,
        false,
        expect.stringContaining("Input/output error"),
      ]);
    }
  });

  test("at a folder of backups that cannot be entered is an error, too", async () => {
    write("myapp/project.qcow2");
    const backups = path.join(dir, "backups");
    symlinkSync("backups", backups); // to itself
    for (const [script, ...args] of [
      ["newest-backups.sh", dir, "myapp"],
      ["list-backups.sh", backups],
    ]) {
      const { exitCode, stderr } = await execa("sh", [path.resolve("src/project-disks", script as string), ...args], {
        reject: false,
      });
      expect([exitCode === 0, stderr]).toEqual([false, expect.stringMatching(/symbolic links|can't cd/)]);
    }
  });

  test.each(["empty", "nowhere", "file/below"])("at %j, where no backup is, lists none", async (folder) => {
    write("file");
    mkdirSync(path.join(dir, "empty"));
    const args = [path.resolve("src/project-disks/list-backups.sh"), path.join(dir, folder)];
    expect(await execa("sh", args)).toMatchObject({ stdout: "", stderr: "" });
  });

  test.skipIf(process.getuid?.() !== 0).each(["", "myapp", "backups/myapp"])(
    "by a user who may not see it (%j) is an error, and not the finding that there is none",
    async (closed) => {
      write("myapp/project.qcow2", "backups/myapp/none");
      chmodSync(dir, 0o755);
      chmodSync(path.join(dir, closed), 0o700);
      const script = path.resolve("src/project-disks/newest-backups.sh");
      const as = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-s", dir, "myapp"];
      const { exitCode, stderr } = await execa(as[0] as string, as.slice(1), { inputFile: script, reject: false });
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining("Permission denied")]);
    },
  );

  test.skipIf(process.getuid?.() !== 0).each(["", "backups", "backups/myapp"])(
    "and so is a list of backups (%j)",
    async (closed) => {
      write("backups/myapp/none");
      chmodSync(dir, 0o755);
      chmodSync(path.join(dir, closed), 0o700);
      const list = ["sh", "-c", scriptText("list-backups.sh"), "list-backups.sh", path.join(dir, "backups/myapp")];
      const as = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...list];
      const { exitCode, stderr } = await execa(as[0] as string, as.slice(1), { reject: false });
      expect([exitCode === 0, stderr]).toEqual([false, expect.stringMatching(/Permission denied|can't cd/)]);
    },
  );
});
