import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { shellWord } from "../../../src/core/shell-word.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";

/** How many restores are killed; more by hand, to measure. */
const kills = Number(process.env.RESTORE_KILLS ?? 10);

const size = 16 * 2 ** 20;
let dir: string;
let folder: string;
let disk: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "restore script's "));
  folder = path.join(dir, "vms/myapp");
  disk = path.join(folder, "project.qcow2");
  mkdirSync(path.join(dir, "bin"));
  mkdirSync(folder, { recursive: true });
  fake("virsh", `echo "$*" >>"$WORLD/asked"`);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Puts a program of that name before those of the machine. */
const fake = (name: string, text: string) =>
  writeFileSync(path.join(dir, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

const env = () => ({ PATH: `${dir}/bin:${process.env.PATH}`, WORLD: dir });
const words = (snapshot: string, now = "before", ...start: string[]) => [
  ...["-c", scriptText("restore.sh"), "restore.sh", disk, snapshot, now, String(size), "test:///x", ...start],
];
const restore = (...args: Parameters<typeof words>) => execa("sh", words(...args), { env: env(), reject: false });
const script = (name: string, ...args: string[]) =>
  execa("sh", ["-c", scriptText(name), name, ...args], { env: env(), reject: false });
const asked = () => readFileSync(path.join(dir, "asked"), "utf8");
const refused = (stderr: string) => /^error: (.*)\nremedy: (.*)$/m.exec(stderr)?.slice(1);
const marks = () => readdirSync(folder).filter((name) => name.includes(".restoring"));
const snapshots = () =>
  execaSync("qemu-img", ["snapshot", "-l", disk])
    .stdout.split("\n")
    .slice(2)
    .map((line) => line.trim().split(/\s+/)[1]);
const check = () => execaSync("qemu-img", ["check", "-q", disk], { reject: false }).exitCode;

/** Reads the disk, or one of its snapshots, as a guest would. */
function contents(snapshot?: string): Buffer {
  const raw = path.join(dir, "raw");
  const of = snapshot ? ["-l", `snapshot.name=${snapshot}`] : [];
  execaSync("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", ...of, disk, raw]);
  return readFileSync(raw);
}

/** A disk with a snapshot `first` and other contents now, in many clusters; a small one is quickly copied. */
function makeDisk(): void {
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", disk, String(size)]);
  const write = (pattern: number) =>
    Array.from({ length: 30 }, (_, i) => [
      "-c",
      `write -q -P ${pattern} ${(i * 5) % 16}M ${i % 7 === 0 ? 256 : 16}k`,
    ]).flat();
  execaSync("qemu-io", ["-f", "qcow2", ...write(1), disk]);
  execaSync("qemu-img", ["snapshot", "-c", "first", disk]);
  execaSync("qemu-img", ["snapshot", "-c", "other", disk]);
  execaSync("qemu-io", ["-f", "qcow2", ...write(2), disk]);
}

/** The reference counts of the first clusters, as a restore that was cut off leaves them: too low. */
function breakCounts(): void {
  const bytes = readFileSync(disk);
  const table = Number(bytes.readBigUInt64BE(48));
  const block = Number(bytes.readBigUInt64BE(table));
  bytes.fill(0, block + 200, block + 400);
  writeFileSync(disk, bytes);
}

function setByte(offset: number, value: number): void {
  const bytes = readFileSync(disk);
  bytes[offset] = value;
  writeFileSync(disk, bytes);
}

const addBitmap = () => execaSync("qemu-img", ["bitmap", "--add", disk, "checkpoint"]);
const withBitmaps = () =>
  `${disk}: must have no persistent bitmaps, as checkpoints of libvirt are: no restore goes past them, and a repair would take all snapshots`;
const giveUp = () =>
  `give them up, which takes nothing of what is on the disk: for each that qemu-img info ${shellWord(disk)} names, qemu-img bitmap --remove ${shellWord(disk)} <name> and, if it is a checkpoint's, virsh -c 'test:///x' checkpoint-delete project-myapp <name> --metadata; then try again`;

/** Kills a program with all that it started, and waits until none of them has the disk. */
async function killGroup(child: ChildProcess): Promise<void> {
  const closed = child.exitCode === null ? new Promise((resolve) => child.once("close", resolve)) : undefined;
  try {
    process.kill(-(child.pid as number), "SIGKILL");
  } catch {
    // It has ended by itself.
  }
  await closed;
  execaSync("flock", ["-w", "20", folder, "true"]);
}

describe.skipIf(!existsSync("/usr/bin/qemu-io"))("a restore", () => {
  beforeEach(makeDisk);

  test("leaves no mark, keeps what was there, and starts the VM last", async () => {
    const [first, now] = [contents("first"), contents()];
    expect(first.equals(now)).toBe(false);
    expect(await restore("first", "before", "project-myapp")).toMatchObject({
      exitCode: 0,
      stdout: "before",
      stderr: "",
    });
    expect([marks(), check(), snapshots()]).toEqual([[], 0, ["first", "other", "before"]]);
    expect([contents().equals(first), contents("before").equals(now)]).toEqual([true, true]);
    // Libvirt shows the mark while it stands, and no longer.
    const verbs = asked()
      .split("\n")
      .map((line) => line.split(" ").slice(3).join(" "));
    const refresh = "pool-refresh project-myapp";
    expect(verbs).toEqual(["list --all --autostart --name", refresh, refresh, "start project-myapp", ""]);
  });

  test("of a VM that starts with its host keeps it from that while its mark stands", async () => {
    const off = path.join(dir, "off");
    fake(
      "virsh",
      `echo "$*" >>"$WORLD/asked"
case $* in
  *"list --all --autostart --name") [ -e "$WORLD/off" ] || echo project-myapp ;;
  *"autostart --disable project-myapp") touch "$WORLD/off" ;;
  *"autostart project-myapp") rm "$WORLD/off" ;;
esac`,
    );
    fake("qemu-img", `case $* in "snapshot -a"*) exit 137 ;; esac; exec /usr/bin/qemu-img "$@"`);
    expect((await restore("first")).exitCode).toBe(137);
    expect([marks(), existsSync(off)]).toEqual([["project.qcow2.restoring.first"], true]);
    await rm(path.join(dir, "bin/qemu-img"));
    expect(await restore("first", "again")).toMatchObject({ exitCode: 0, stdout: "before" });
    expect([marks(), existsSync(off), asked().match(/autostart project-myapp$/gm)?.length]).toEqual([[], false, 1]);
  });

  test("changes nothing while libvirt does not tell which VMs start with their host", async () => {
    fake("virsh", "exit 1");
    const { exitCode, stderr } = await restore("first");
    expect([exitCode, refused(stderr)?.[0]]).toEqual([1, "test:///x: must tell within 60 s which VMs start with it"]);
    expect(snapshots()).toEqual(["first", "other"]);
    expect(marks().filter((name) => !name.endsWith("-new"))).toEqual([]);
  });

  test("that another program keeps from its first change leaves no mark", async () => {
    const user = spawn("qemu-io", ["-f", "qcow2", disk], { stdio: ["pipe", "pipe", "ignore"] });
    await new Promise((resolve) => user.stdout.once("data", resolve));
    const { exitCode, stderr } = await restore("first");
    user.stdin.end("quit\n");
    expect([exitCode, marks()]).toEqual([1, []]);
    expect(stderr).toContain('Failed to get "write" lock');
  });

  test.each<[string, () => Promise<{ exitCode?: number; stderr: string }>]>([
    ["a restore", async () => restore("first")],
    ["a new snapshot", async () => script("snapshot.sh", "create", disk, "new")],
    ["the deletion of a snapshot", async () => script("snapshot.sh", "delete", disk, "first")],
  ])("or other work on a disk that names another file opens nothing: %s", async (_, run) => {
    execaSync("qemu-img", ["rebase", "-u", "-F", "raw", "-b", path.join(dir, "secret"), disk]);
    const bytes = readFileSync(disk);
    const { exitCode, stderr } = await run();
    expect([exitCode, refused(stderr)]).toEqual([
      1,
      [
        `${disk}: must not need another file beside it`,
        "another program has written that: keep the file to look into it, and go back to a backup (docs/data.md)",
      ],
    ]);
    expect([readFileSync(disk).equals(bytes), marks()]).toEqual([true, []]);
  });

  test("of a disk with checkpoints of libvirt is refused before its first change, and goes through without them", async () => {
    addBitmap();
    const { exitCode, stderr } = await restore("first");
    expect([exitCode, refused(stderr)]).toEqual([1, [withBitmaps(), giveUp()]]);
    expect([marks(), snapshots(), check()]).toEqual([[], ["first", "other"], 0]);
    execaSync("qemu-img", ["bitmap", "--remove", disk, "checkpoint"]);
    expect(await restore("first")).toMatchObject({ exitCode: 0, stdout: "before" });
  });

  test("to a snapshot that was deleted while it waited changes nothing and leaves no mark", async () => {
    const bytes = readFileSync(disk);
    const { exitCode, stderr } = await restore("gone");
    expect([exitCode, refused(stderr)]).toEqual([
      1,
      [
        `${disk}: must have the snapshot gone, which is gone since this was asked for; the disk is as it was`,
        "take another one: project-vm snapshot list myapp",
      ],
    ]);
    expect([readFileSync(disk).equals(bytes), marks()]).toEqual([true, []]);
  });

  describe("that was cut off, and whose snapshot is gone since,", () => {
    beforeEach(() => writeFileSync(path.join(folder, "project.qcow2.restoring.gone"), "before\n"));
    const rule =
      "must first be restored to another snapshot: its restore to gone was cut off, that snapshot is gone, and what the disk holds may be half of two states";
    const any = "or bring it back to any other one: project-vm snapshot list myapp";
    const toBefore = `bring it back to what it held before: project-vm snapshot restore myapp before; ${any}`;
    const toKeep = `have what it holds kept as a snapshot: project-vm snapshot restore myapp gone; ${any}`;
    const snapshot = (action: "-c" | "-d", name: string) => execaSync("qemu-img", ["snapshot", action, name, disk]);

    test.each<[string, () => Promise<{ exitCode?: number; stderr: string }>]>([
      ["a new snapshot", async () => script("snapshot.sh", "create", disk, "new")],
      ["the deletion of a snapshot", async () => script("snapshot.sh", "delete", disk, "first")],
      ["a backup", async () => script("backup.sh", "myapp", path.join(dir, "vms"), "test:///x")],
    ])("refuses %s, and names what to go back to", async (_, run) => {
      const refusals = async () => refused((await run()).stderr);
      expect(await refusals()).toEqual([`${disk}: ${rule}`, toKeep]);
      snapshot("-c", "before");
      const bytes = readFileSync(disk);
      expect(await refusals()).toEqual([`${disk}: ${rule}`, toBefore]);
      expect(readFileSync(disk).equals(bytes)).toBe(true);
    });

    test("makes way for one to the state before, on an image that is mended first; what is there is kept", async () => {
      const now = contents();
      snapshot("-c", "before");
      execaSync("qemu-io", ["-f", "qcow2", "-c", "write -q -P 9 1M 64k", disk]);
      const half = contents();
      breakCounts();
      const { exitCode, stdout } = await restore("before", "later");
      expect([exitCode, stdout]).toEqual([0, "later"]);
      expect([marks(), check(), snapshots()]).toEqual([[], 0, ["first", "other", "before", "later"]]);
      expect([contents().equals(now), contents("later").equals(half)]).toEqual([true, true]);
    });

    test("makes way for any other one, which is then the one that is to be done again", async () => {
      const [other, now] = [contents("other"), contents()];
      fake("qemu-img", `case $* in "snapshot -a"*) exit 137 ;; esac; exec /usr/bin/qemu-img "$@"`);
      expect((await restore("other")).exitCode).toBe(137);
      expect(marks()).toEqual(["project.qcow2.restoring.other"]);
      await rm(path.join(dir, "bin/qemu-img"));
      expect(await restore("other", "later")).toMatchObject({ exitCode: 0, stdout: "before" });
      expect([marks(), check(), snapshots()]).toEqual([[], 0, ["first", "other", "before", "later"]]);
      expect([contents().equals(other), contents("before").equals(now)]).toEqual([true, true]);
    });

    test("is not taken over by one to a snapshot that is not there", async () => {
      const bytes = readFileSync(disk);
      expect(refused((await restore("neither")).stderr)?.[0]).toContain(
        "must have the snapshot neither, which is gone",
      );
      expect([readFileSync(disk).equals(bytes), marks()]).toEqual([true, ["project.qcow2.restoring.gone"]]);
    });

    test("and with it all others, keeps what the disk holds, mended, and names that", async () => {
      for (const name of ["first", "other"]) snapshot("-d", name);
      const now = contents();
      breakCounts();
      const first = await restore("gone", "later");
      expect(refused(first.stderr)).toEqual([`${disk}: ${rule}`, toBefore]);
      expect(first.stderr).toContain(
        "myapp: what the disk holds, which may be half of two states, is kept as the snapshot before\n",
      );
      expect([marks(), check(), snapshots()]).toEqual([["project.qcow2.restoring.gone"], 0, ["before"]]);
      const bytes = readFileSync(disk);
      expect(refused((await restore("gone", "later")).stderr)).toEqual([`${disk}: ${rule}`, toBefore]);
      expect(readFileSync(disk).equals(bytes)).toBe(true);
      expect(await restore("before", "later")).toMatchObject({ exitCode: 0, stdout: "later" });
      expect([marks(), check(), snapshots(), contents().equals(now)]).toEqual([[], 0, ["before", "later"], true]);
    });

    test("counts as there while that cannot be read", async () => {
      fake("qemu-img", `case $* in "snapshot -U -l"*) exit 1 ;; esac; exec /usr/bin/qemu-img "$@"`);
      expect(refused((await restore("first")).stderr)?.[1]).toBe("project-vm snapshot restore myapp gone");
    });
  });

  describe("that was cut off", () => {
    const mark = () => path.join(folder, "project.qcow2.restoring.first");
    beforeEach(() => writeFileSync(mark(), "before\n"));
    const rule = "must first be restored to its snapshot first: that restore was cut off, or has not ended yet";
    const remedy = "project-vm snapshot restore myapp first";

    test.each<[string, () => Promise<{ exitCode?: number; stderr: string }>]>([
      ["another restore", async () => restore("other")],
      ["a new snapshot", async () => script("snapshot.sh", "create", disk, "new")],
      ["the deletion of a snapshot", async () => script("snapshot.sh", "delete", disk, "first")],
      ["a backup", async () => script("backup.sh", "myapp", path.join(dir, "vms"), "test:///x")],
    ])("refuses %s", async (_, run) => {
      const bytes = readFileSync(disk);
      const { exitCode, stderr } = await run();
      expect([exitCode, refused(stderr)]).toEqual([1, [`${disk}: ${rule}`, remedy]]);
      expect(readFileSync(disk).equals(bytes)).toBe(true);
      expect(existsSync(path.join(dir, "vms/backups"))).toBe(false);
    });

    test("goes with the disk", async () => {
      const { exitCode } = await script("purge.sh", "myapp", path.join(dir, "vms"), "test:///x", "no");
      expect([exitCode, existsSync(folder)]).toEqual([0, false]);
    });

    test("is done again on an image that is mended first", async () => {
      const first = contents("first");
      const now = contents();
      breakCounts();
      expect(check()).toBe(2);
      expect(await restore("first")).toMatchObject({ exitCode: 0, stdout: "before" });
      expect([marks(), check(), snapshots()]).toEqual([[], 0, ["first", "other", "before"]]);
      expect([contents().equals(first), contents("before").equals(now)]).toEqual([true, true]);
    });

    /** QEMU 7.2 writes the header of an image that it repairs without its snapshots. */
    const headers: [string, () => unknown][] = [
      ["a feature that QEMU does not know", () => setByte(88, 0x80)],
      ["bitmaps that a program which does not know them made stale", () => [addBitmap(), setByte(95, 0)]],
    ];
    test.each(headers)("keeps all snapshots where the header has %s", async (_, change) => {
      change();
      expect(await restore("first")).toMatchObject({ exitCode: 0, stdout: "before" });
      expect([marks(), check(), snapshots()]).toEqual([[], 0, ["first", "other", "before"]]);
    });

    test("is refused, and repairs nothing, while the disk has checkpoints of libvirt", async () => {
      addBitmap();
      const { exitCode, stderr } = await restore("first");
      expect([exitCode, refused(stderr)]).toEqual([1, [withBitmaps(), giveUp()]]);
      expect([marks().length, snapshots()]).toEqual([1, ["first", "other"]]);
      execaSync("qemu-img", ["bitmap", "--remove", disk, "checkpoint"]);
      expect(await restore("first")).toMatchObject({ exitCode: 0, stdout: "before" });
    });

    test("is refused where the disk would have to be repaired with checkpoints in it", async () => {
      addBitmap();
      breakCounts();
      const { exitCode, stderr } = await restore("first");
      expect([exitCode, refused(stderr)?.[1]]).toEqual([
        1,
        `copy what is needed out of it: qemu-img convert -l <snapshot> -O qcow2 ${shellWord(disk)} <file>; or go back to a backup: docs/data.md`,
      ]);
      expect(snapshots()).toEqual(["first", "other"]);
    });

    test("keeps what the disk holds by then: a VM may have been started past the mark, and be off again", async () => {
      execaSync("qemu-img", ["snapshot", "-c", "before", disk]);
      execaSync("qemu-io", ["-f", "qcow2", "-c", "write -q -P 9 1M 64k", disk]);
      const written = contents();
      const { exitCode, stdout, stderr } = await restore("first", "later");
      expect([exitCode, stdout]).toEqual([0, "before"]);
      expect(stderr).toBe(
        "myapp: what the disk held when the restore was done again is the snapshot later: of use only if a VM was started since it was cut off",
      );
      expect([snapshots(), check()]).toEqual([["first", "other", "before", "later"], 0]);
      expect(contents("later").equals(written)).toBe(true);
    });

    test("is not done while there is no room to keep that", async () => {
      execaSync("qemu-img", ["snapshot", "-c", "before", disk]);
      fake(
        "qemu-img",
        `case $* in "snapshot -c later"*) echo "No space left on device" >&2; exit 1 ;; esac; exec /usr/bin/qemu-img "$@"`,
      );
      const now = contents();
      expect(await restore("first", "later")).toMatchObject({ exitCode: 1, stderr: "No space left on device" });
      expect([contents().equals(now), marks()]).toEqual([true, ["project.qcow2.restoring.first"]]);
    });
  });

  const markStands = async () => {
    for await (const { filename } of watch(folder)) if (filename?.startsWith("project.qcow2.restoring.")) return;
  };

  test(`killed at ${kills} moments is done again, and nothing is lost`, {
    timeout: 60_000 + kills * 8000,
  }, async () => {
    const template = path.join(dir, "template");
    copyFileSync(disk, template);
    const [first, now] = [contents("first"), contents()];
    const started = Date.now();
    await restore("first");
    const whole = Date.now() - started;
    const seen = { unmarked: 0, marked: 0, broken: 0 };
    for (let i = 0; i < kills; i++) {
      await rm(folder, { recursive: true });
      mkdirSync(folder);
      copyFileSync(template, disk);
      const child = spawn("sh", words("first"), { env: { ...process.env, ...env() }, stdio: "ignore", detached: true });
      // However long it takes on a machine at work, one is killed while its mark stands.
      await (i === 0 ? markStands() : delay((whole * (i + 0.5)) / kills));
      await killGroup(child);
      if (marks().includes("project.qcow2.restoring.first")) {
        seen.marked++;
        if (check() !== 0) seen.broken++;
        expect((await script("snapshot.sh", "create", disk, "new")).exitCode).toBe(1);
      } else {
        // Before the first change, or after the last one.
        seen.unmarked++;
        expect([check(), [first, now].some((bytes) => contents().equals(bytes))]).toEqual([0, true]);
      }
      expect(await restore("first", snapshots().includes("before") ? "again" : "before")).toMatchObject({
        exitCode: 0,
      });
      expect([marks(), check()]).toEqual([[], 0]);
      expect([contents().equals(first), contents("first").equals(first), contents("before").equals(now)]).toEqual([
        true,
        true,
        true,
      ]);
    }
    if (process.env.RESTORE_KILLS) console.log(`${whole} ms`, seen);
    expect(seen.marked).toBeGreaterThan(0);
  });
});
