import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { embeddedRoot } from "../../../src/core/names.ts";
import { type Census, parseAptHistory, takeCensus, type Watched } from "../../ci/census.ts";
import { filesIn, openFiles } from "../../ci/files.ts";
import { differences, describe as line, watchedBy } from "../../ci/left-behind.ts";
import { filesystemRoots, parseMounts } from "../../ci/mounts.ts";
import { isOfRun, processesOfRun, type Seen, seenProcesses } from "../../ci/processes.ts";

let dir: string;
let watched: Watched;
let before: Census;
const children: ChildProcess[] = [];
const isRoot = process.getuid?.() === 0;

const placed = (name: string) => path.join(dir, name);
const leftBehind = (...looks: Parameters<typeof differences>) => differences(...looks).map(line);
/** What names this test's own things; others may be at work on this machine. */
const found = () => leftBehind(before, takeCensus(watched)).filter((line) => line.includes(path.basename(dir)));
const look = () => {
  before = takeCensus(watched);
};

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "left-"));
  for (const name of ["home", "cache", "elsewhere"]) mkdirSync(placed(name));
  writeFileSync(placed("home/settings"), "as they are");
  watched = {
    roots: [placed("home"), placed("elsewhere")],
    exempt: [placed("home/checkout")],
    variable: `PROJECT_VMS_RUN=${path.basename(dir)}`,
    folders: [placed("work")],
    made: [],
  };
  look();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

describe("files", () => {
  test("nothing was left where nothing was done", () => {
    expect(found()).toEqual([]);
  });

  test("a file, a link and a folder are named, a folder without what is in it", () => {
    writeFileSync(placed("home/.ssh_known_hosts"), "");
    symlinkSync("/nowhere", placed("home/link"));
    mkdirSync(placed("home/.pulumi/plugins"), { recursive: true });
    expect(found().sort()).toEqual([
      `file left: ${placed("home/.pulumi")}`,
      `file left: ${placed("home/.ssh_known_hosts")}`,
      `file left: ${placed("home/link")}`,
    ]);
  });

  test("a file that was changed, replaced by the like or removed is named", () => {
    writeFileSync(placed("home/other"), "");
    look();
    writeFileSync(placed("home/settings"), "AS THEY ARE");
    rmSync(placed("home/other"));
    expect(found()).toEqual([`file changed: ${placed("home/settings")}`, `file removed: ${placed("home/other")}`]);
  });

  test("what an earlier run left in a folder that each run clears may go, may not come, and nothing else may go", () => {
    const cleared = [placed("home/runs")];
    mkdirSync(placed("home/runs/one"), { recursive: true });
    writeFileSync(placed("home/runs-of-mine"), "");
    look();
    rmSync(placed("home/runs"), { recursive: true });
    rmSync(placed("home/runs-of-mine"));
    const lines = () => leftBehind(before, takeCensus(watched), cleared).filter((line) => line.includes(dir));
    expect(lines()).toEqual([`file removed: ${placed("home/runs-of-mine")}`]);
    mkdirSync(placed("home/runs/two"), { recursive: true });
    expect(lines()).toEqual([`file left: ${placed("home/runs/two")}`, `file removed: ${placed("home/runs-of-mine")}`]);
  });

  test("not what was made and removed again, nor what is in an exempt folder", () => {
    writeFileSync(placed("home/temporary"), "");
    rmSync(placed("home/temporary"));
    mkdirSync(placed("home/checkout/node_modules"), { recursive: true });
    expect(found()).toEqual([]);
  });

  test("one that was written to is named though its size and its times are what they were", () => {
    const { atime, mtime } = statSync(placed("home/settings"));
    writeFileSync(placed("home/settings"), "AS THEY ARE");
    utimesSync(placed("home/settings"), atime, mtime);
    expect(found()).toEqual([`file changed: ${placed("home/settings")}`]);
  });

  test("not one that was linked to once more, as a local clone does, unless it is another by it", () => {
    linkSync(placed("home/settings"), placed("cache/first"));
    look();
    linkSync(placed("home/settings"), placed("cache/second"));
    expect(found()).toEqual([]);
    writeFileSync(placed("cache/second"), "AS THEY ARE");
    expect(found()).toEqual([`file changed: ${placed("home/settings")}`]);
  });

  test("of /dev no devices, nor their folders and links, which come and go with the hardware", () => {
    const kinds = Object.keys(filesIn(["/dev"], ["/dev/shm"])).filter((file) => !lstatSync(file).isFile());
    expect(kinds).toEqual([]);
  });

  test("one that a program is writing is known to be open", async () => {
    const file = placed("home/log");
    expect(openFiles().has(file)).toBe(false);
    children.push(spawn("sh", ["-c", `exec 3>${file}; exec sleep 60`], { stdio: "ignore" }));
    await vi.waitUntil(() => openFiles().has(file), { timeout: 10_000 });
  });
});

describe("processes", () => {
  /** A program that another one has started and left: it has no tie to this process. */
  function leave(script: string, options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): void {
    const pid = execFileSync("sh", ["-c", `setsid ${script} >/dev/null 2>&1 & echo $!`], {
      encoding: "utf8",
      ...options,
    });
    children.push({ kill: () => process.kill(-Number(pid), "SIGKILL") } as unknown as ChildProcess);
  }

  test.each<[string, () => void]>([
    [
      "its environment",
      () => leave("sleep 61", { env: { PATH: process.env.PATH, PROJECT_VMS_RUN: path.basename(dir) } }),
    ],
    ["its folder", () => leave("sleep 61", { cwd: placed("work"), env: { PATH: process.env.PATH } })],
    ["its arguments", () => leave(`sh -c "sleep 61; true" ${placed("work")}/x`, { env: { PATH: process.env.PATH } })],
  ])("one is known to be the run's by %s", async (_, start) => {
    mkdirSync(placed("work"));
    start();
    const processes = () => leftBehind(before, takeCensus(watched)).filter((line) => line.startsWith("process left: "));
    // Before that it leads no group of its own, and could not be ended by it.
    const isOnItsOwn = (line: string) => line.includes("sleep 61") && !line.includes("setsid");
    await vi.waitUntil(() => processes().some(isOnItsOwn), { timeout: 10_000 });
  });

  test("one by the program's own place, an embedded host's by its arguments, and no other", () => {
    const seen: Seen = {
      pid: 9,
      parent: 1,
      started: "1",
      environment: ["A=b"],
      words: ["x"],
      folder: "/",
      executable: "/bin/x",
    };
    const marks = { variable: "PROJECT_VMS_RUN=1", folders: ["/work"] };
    expect(isOfRun(seen, marks)).toBe(false);
    expect(isOfRun({ ...seen, executable: "/work/node_modules/esbuild" }, marks)).toBe(true);
    expect(isOfRun({ ...seen, words: ["qemu", `file=${embeddedRoot}/x-1/vms/a/disk.qcow2`] }, marks)).toBe(true);
    const others = { ...seen, words: ["virsh", `socket=${embeddedRoot}/x-1/run/libvirt/libvirt-sock`] };
    expect(isOfRun(others, { ...marks, otherHosts: [`${embeddedRoot}/x-1`] })).toBe(false);
    expect(isOfRun({ ...seen, environment: ["PROJECT_VMS_RUN=12"], folder: "/workshop" }, marks)).toBe(false);
  });

  test("not whoever asks, nor what it was started by or has started", () => {
    const one = (pid: number, parent: number): Seen => ({
      ...{ pid, parent, started: `${pid}`, environment: ["R=1"], words: [`p${pid}`], folder: "/", executable: "" },
    });
    const seen = [one(1, 0), one(10, 1), one(20, 10), one(15, 20), one(30, 15), one(40, 10)];
    expect(processesOfRun({ variable: "R=1", folders: [] }, seen, 20)).toEqual({ "40: p40": "40" });
  });

  test("this process is among all", () => {
    const own = seenProcesses().find(({ pid }) => pid === process.pid);
    expect(own).toMatchObject({ parent: process.ppid, folder: process.cwd(), started: expect.stringMatching(/^\d+$/) });
    expect(own?.environment).toContain(
      `PATH=${readFileSync("/proc/self/environ", "utf8").match(/(?:^|\0)PATH=([^\0]*)/)?.[1]}`,
    );
  });
});

describe.skipIf(!isRoot)("what only root can leave", () => {
  test("a mount", () => {
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", placed("elsewhere")]);
    try {
      expect(found()).toEqual([`mount left: ${placed("elsewhere")} (tmpfs)`]);
    } finally {
      execFileSync("umount", [placed("elsewhere")]);
    }
  });

  test("a network namespace that no process is in", () => {
    const place = placed("elsewhere/netns");
    writeFileSync(place, "");
    execFileSync("unshare", [`--net=${place}`, "true"]);
    try {
      expect(found()).toEqual([`network namespace left: ${place} (nsfs)`]);
    } finally {
      execFileSync("umount", [place]);
    }
  });

  test("an embedded host's folder", () => {
    const hadHosts = existsSync(embeddedRoot);
    const host = path.join(embeddedRoot, path.basename(dir));
    mkdirSync(host, { recursive: true });
    try {
      expect(found()).toEqual([`host folder left: ${host}`]);
    } finally {
      rmdirSync(host);
      if (!hadHosts) rmdirSync(embeddedRoot);
    }
  });

  test("a loop device", () => {
    execFileSync("truncate", ["--size", "1M", placed("image")]);
    const device = execFileSync("losetup", ["--find", "--show", placed("image")], { encoding: "utf8" }).trim();
    try {
      expect(found()).toEqual([`loop device left: ${device} of ${placed("image")}`]);
    } finally {
      execFileSync("losetup", ["--detach", device]);
    }
  });
});

describe("what is compared", () => {
  test("is whatever there is more of, by its kind", () => {
    const earlier: Census = { "network interface": { lo: "", old: "" }, "systemd unit": {} };
    const later: Census = {
      "network interface": { lo: "", virbr9: "" },
      "systemd unit": { "/run/systemd/system/a.timer": "" },
    };
    expect(leftBehind(earlier, later)).toEqual([
      "network interface left: virbr9",
      "systemd unit left: /run/systemd/system/a.timer",
    ]);
  });

  test("a rule of the firewall that is gone is a change, an interface that is gone is none", () => {
    const earlier: Census = { "network interface": { old: "" }, "firewall rule": { "nft: table ip a": "" } };
    expect(leftBehind(earlier, { "network interface": {}, "firewall rule": {} })).toEqual([
      "firewall rule removed: nft: table ip a",
    ]);
  });

  test("mounts come by place and type", () => {
    const text =
      "62 26 0:4 net:[4026532178] /run/netns/a rw shared:5 - nsfs nsfs rw\n21 26 0:20 / /a\\040b ro,nosuid - proc proc rw\n";
    expect(parseMounts(text)).toEqual([
      { place: "/run/netns/a", type: "nsfs", source: "0:4 net:[4026532178]", isReadOnly: false },
      { place: "/a b", type: "proc", source: "0:20 /", isReadOnly: true },
    ]);
  });

  test("files are looked at on each filesystem of this machine's own, once", () => {
    const text = `1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:5 / /dev rw - devtmpfs udev rw
3 2 0:6 / /dev/shm rw - tmpfs tmpfs rw
4 2 0:6 / /dev/shm rw - tmpfs tmpfs rw
5 1 0:7 / /proc rw - proc proc rw
6 1 0:8 / /run rw - tmpfs tmpfs rw
7 6 0:9 / /run/user/0 rw - tmpfs tmpfs rw
8 1 8:2 /@home /home rw - btrfs /dev/sda2 rw
9 1 8:1 /srv/a /export rw - ext4 /dev/sda1 rw
10 1 0:11 / /net rw - nfs4 a:/ rw
11 1 0:12 / /sys/fs/cgroup rw - tmpfs tmpfs rw
12 1 0:13 / /cd ro - ext4 /dev/sdb rw
`;
    expect(filesystemRoots(parseMounts(text))).toEqual(["/", "/dev", "/dev/shm", "/run", "/home"]);
  });

  test.each([
    ["as the kernel tells", ",subvolid=256,subvol="],
    ["told without its subvolume", ""],
  ])("on a btrfs each subvolume that is mounted is one, also beside the top level, %s", (_, option) => {
    const subvolume = (name: string) => (option === "" ? "" : `${option}${name}`);
    const text = `1 0 0:27 /@ / rw - btrfs /dev/sda1 rw${subvolume("/@")}
2 1 0:27 /@home /home rw - btrfs /dev/sda1 rw${subvolume("/@home")}
3 1 0:27 / /mnt/btr_pool rw - btrfs /dev/sda1 rw${subvolume("/")}
4 1 0:27 /@home /srv/home rw - btrfs /dev/sda1 rw${subvolume("/@home")}
`;
    expect(filesystemRoots(parseMounts(text))).toEqual(["/", "/home", "/mnt/btr_pool"]);
  });

  test("a folder of a btrfs that is mounted once more is looked at where it is at home", () => {
    const text = `1 0 0:27 /@ / rw - btrfs /dev/sda1 rw,subvolid=256,subvol=/@
2 1 0:27 /@/srv/a /export rw - btrfs /dev/sda1 rw,subvolid=256,subvol=/@
`;
    expect(filesystemRoots(parseMounts(text))).toEqual(["/"]);
  });

  test("apt's history comes by time and command", () => {
    const text = `
Start-Date: 2026-11-25  06:12:01
Commandline: /usr/bin/unattended-upgrade
Upgrade: libc6:amd64 (1, 2)
End-Date: 2026-11-25  06:12:09

Start-Date: 2026-11-25  18:44:00
Commandline: apt-get install -y strace
Install: strace:amd64 (6)
End-Date: 2026-11-25  18:44:05
`;
    expect(parseAptHistory(text)).toEqual([
      "2026-11-25 06:12:01 /usr/bin/unattended-upgrade",
      "2026-11-25 18:44:00 apt-get install -y strace",
    ]);
  });

  test("of this machine: all its filesystems, but not the checkout and the caches", () => {
    const { roots, exempt, variable } = watchedBy("/some/checkout", { XDG_CACHE_HOME: "/c", PROJECT_VMS_RUN: "7" });
    expect(roots).toContain("/");
    expect(exempt).toEqual(expect.arrayContaining(["/some/checkout", "/c/project-vms"]));
    expect(exempt.filter((place) => "/dev/shm/x /run/x /opt/x /usr/lib/x /tmp/x".includes(place))).toEqual([]);
    expect(variable).toBe("PROJECT_VMS_RUN=7");
  });
});
