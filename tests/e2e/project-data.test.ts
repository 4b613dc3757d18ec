import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa, execaSync } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { shellWord } from "../../src/core/shell-word.ts";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import type { Shell } from "../../src/libvirt/shell.ts";
import { installSchedule, removeSchedule } from "../../src/project-disks/schedule.ts";
import { openToNobody } from "./support/as-nobody.ts";
import { Checkout } from "./support/checkout.ts";
import { HostileAgent } from "./support/hostile-agent.ts";
import { killGroup, ProjectVmTool, readDisk, refuse, succeed } from "./support/project-data.ts";

const small = { defaults: { memory: "1 GiB", cpus: 1, disk: "20 GiB", rootDisk: "12 GiB" } };
const checkout = new Checkout("project-data");
const { host, virsh } = checkout;
const tool = new ProjectVmTool(checkout);
const folder = (project: string) => path.join(host.storageDir, project);
const disk = (project: string) => path.join(folder(project), "project.qcow2");
const backups = path.join(host.storageDir, "backups/alpha");
const exported = path.join(checkout.dir, "alpha.qcow2");

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(host, console.error);
});
afterAll(() => checkout.remove());

const inGuest = (command: string) => checkout.ssh("alpha", command);
/** By which the guest is known: on its project disk. */
const hostKey = () => inGuest("cat /etc/ssh/ssh_host_ed25519_key.pub");
let hostKeyBefore: string;
const write = (text: string) => inGuest(`echo ${text} > /home/dev/project/work && sync -f /home/dev/project/work`);
const answer = async (...args: string[]) => JSON.parse(await succeed(tool.run(...args, "--json")));
const snapshots = async () =>
  ((await answer("snapshot", "list", "alpha")) as { name: string }[]).map(({ name }) => name);
const virtualSize = (file: string) =>
  JSON.parse(execaSync("qemu-img", ["info", "-U", "--output", "json", file]).stdout)["virtual-size"] as number;

/** The programs on this machine with such arguments, which tell their VM, too: other tests run beside this one. */
const running = (words: string) => execaSync("pgrep", ["-af", words], { reject: false }).stdout;

/** Whether the guest can write to its disk; in a frozen one the write would hang. */
async function expectThawed() {
  await expect(
    inGuest("timeout 60 sh -c 'date > /home/dev/project/probe && sync -f /home/dev/project/probe' && echo ok"),
  ).resolves.toBe("ok");
}

describe("the disk of a VM that runs", () => {
  test("a snapshot is of a filesystem in order, while the guest writes on", async () => {
    checkout.configure({ ...small, projects: { alpha: {} } });
    await succeed(checkout.pulumi("stack", "init"));
    await succeed(checkout.pulumi("up", "--yes", "--skip-preview"));
    await write("one");
    // One process, five times a second: more would have an emulated CPU do little else until the VM goes.
    const churn = "import time\nwhile not time.sleep(0.2): print(time.time(), flush=True)";
    await inGuest(`setsid -f python3 -c '${churn}' >> /home/dev/project/churn 2>&1 </dev/null`);
    const { all } = await tool.run("snapshot", "create", "alpha", "first");
    expect(all).toMatch(/^\d\d:\d\d {2}alpha: made the snapshot first$/m);
    expect(all).not.toContain("power cut");
    expect(await snapshots()).toEqual(["first"]);
    expect(readDisk(disk("alpha"), "work", "first")).toEqual({ fsck: "clean", text: "one" });
    await expectThawed();
  });

  test.each(["SIGKILL", "SIGINT"] as const)(
    "a snapshot cut off by %s never leaves the guest frozen",
    async (signal) => {
      const asked = path.join(checkout.dir, "asked-to-freeze");
      tool.fake("virsh", `case "$*" in *fsfreeze-freeze*) touch ${asked} ;; esac; exec /usr/bin/virsh "$@"`);
      for (const after of [700, 1000, "the freeze began"] as const) {
        rmSync(asked, { force: true });
        const child = tool.start(
          "snapshot",
          "create",
          "alpha",
          `cut-${signal.toLowerCase()}-${String(after).slice(-4)}`,
        );
        if (typeof after === "number") await delay(after);
        else await expect.poll(() => existsSync(asked), { timeout: 60_000, interval: 5 }).toBe(true);
        await killGroup(child, signal);
        await expectThawed();
      }
      tool.fake("virsh", undefined);
    },
  );

  test("a name is taken once, and what is not there is named with what is", async () => {
    await refuse(
      tool.run("snapshot", "create", "alpha", "first"),
      expect.stringContaining("  - snapshot: must have another name than the one from"),
      "    choose another name, or delete that one first",
    );
    await refuse(
      tool.run("snapshot", "delete", "alpha", "frst"),
      '  - snapshot: must be the name of a snapshot, but is "frst"',
      expect.stringContaining("    did you mean `first`? (snapshots: `first`"),
    );
  });

  test("a snapshot is deleted while the VM runs", async () => {
    for (const name of (await snapshots()).slice(1))
      expect(await answer("snapshot", "delete", "alpha", name)).toEqual({ deleted: name });
    expect(await snapshots()).toEqual(["first"]);
    await expectThawed();
  });

  test("a backup is whole, of a filesystem in order, and the guest writes on", async () => {
    await write("two");
    const { path: file } = await answer("backup", "alpha");
    expect(path.dirname(file)).toBe(backups);
    expect(readDisk(file, "work")).toEqual({ fsck: "clean", text: "two" });
    await expect(execa("sha512sum", ["--check", `${file}.sha512`], { cwd: backups })).resolves.toBeDefined();
    await expectThawed();
  });

  test.each(["SIGKILL", "SIGINT"] as const)(
    "a backup cut off by %s is none, and the next one clears up",
    async (signal) => {
      const before = readdirSync(backups);
      const child = tool.start("backup", "alpha");
      const isWriting = () => readdirSync(backups).some((name) => name.endsWith(".live.partial"));
      await expect.poll(isWriting, { timeout: 60_000, interval: 5 }).toBe(true);
      await killGroup(child, signal);
      await expectThawed();
      expect(readdirSync(backups).filter((name) => !name.endsWith(".partial"))).toEqual(before);
      const again = () => tool.run("backup", "alpha", "--keep", "1");
      await expect.poll(async () => (await again()).exitCode, { timeout: 120_000, interval: 1000 }).toBe(0);
      expect(readdirSync(backups)).toHaveLength(2);
      expect(await virsh.run("domjobinfo", "project-alpha")).toMatch(/Job type: +None/);
    },
  );

  describe("of a guest that freezes and does not thaw", () => {
    const agent = new HostileAgent(checkout, "alpha");
    const stage = "  - project-alpha: must thaw /home/dev/project within 60 s";
    const remedy =
      "    in the guest: sudo fsfreeze --unfreeze /home/dev/project, or restart it: project-vm restart alpha";
    /** Ends within the limits that frozen.sh states, and leaves no program and no lock behind. */
    const withinLimit = async (...args: string[]) => {
      const started = Date.now();
      const ended = await tool.run(...args);
      expect((Date.now() - started) / 1000, ended.all).toBeLessThan(180);
      expect(running("frozen\\.sh .*project-alpha|project-alpha .*guest-fsfreeze-(freeze|thaw)")).toBe("");
      expect(execaSync("flock", ["-n", folder("alpha"), "true"], { reject: false }).exitCode).toBe(0);
      return ended;
    };
    beforeEach(async () => {
      await agent.install();
      await agent.setMode("nothaw");
    });
    afterEach(() => agent.remove());

    test("there is a backup, a loud error, and the next backup is made as ever", async () => {
      const before = readdirSync(backups).length;
      await refuse(
        withinLimit("backup", "alpha"),
        "The backup was made, but the guest of project-alpha may still be frozen.",
        expect.stringContaining(stage),
        remedy,
      );
      expect(readdirSync(backups)).toHaveLength(before + 2);
      // Its agent hangs by now: it is not asked to freeze.
      const { exitCode, all } = await withinLimit("backup", "alpha");
      expect([exitCode, all]).toEqual([0, expect.stringContaining("as after a power cut")]);
      await agent.remove();
      const { path: file } = await answer("backup", "alpha", "--keep", "1");
      expect(readDisk(file, "work").fsck).toBe("clean");
      await expectThawed();
    });

    test("there is a snapshot, and a loud error", async () => {
      await refuse(
        withinLimit("snapshot", "create", "alpha", "not-thawed"),
        "The snapshot not-thawed was made, but the guest may be frozen.",
        expect.stringContaining(stage),
        remedy,
      );
      expect(await answer("snapshot", "delete", "alpha", "not-thawed")).toEqual({ deleted: "not-thawed" });
      await agent.remove();
      await succeed(tool.run("snapshot", "create", "alpha", "thawed"));
      await succeed(tool.run("snapshot", "delete", "alpha", "thawed"));
      await expectThawed();
    });
  });

  test("a schedule fires on a host with systemd, which here the guest is, until it is taken back", async () => {
    const asRoot = (argv: string[]) => inGuest(`sudo ${argv.map(shellWord).join(" ")}`);
    const shell: Shell = { uri: "qemu:///system", run: asRoot };
    const of = { project: "inner", storageDir: "/srv/vms" };
    const unit = "project-vms-backup-inner";
    expect(await installSchedule(shell, { ...of, backup: { every: "1h", keep: 3 } }, console.error)).toBe(true);
    expect(await inGuest(`systemctl is-enabled ${unit}.timer; systemctl is-active ${unit}.timer`)).toBe(
      "enabled\nactive",
    );
    const ran = () => inGuest(`systemctl show --property ExecMainStartTimestamp --value ${unit}.service`);
    expect(await ran()).toBe("");
    await inGuest("sudo date --set '+2 hours' > /dev/null");
    await expect.poll(ran, { timeout: 120_000, interval: 1000 }).not.toBe("");
    await inGuest("sudo date --set '-2 hours' > /dev/null");
    // There is no libvirt in the guest: the script says so, in the journal.
    expect(await inGuest(`sudo journalctl --output cat --unit ${unit}.service`)).toContain(
      "error: virsh: must be on the PATH of the host",
    );
    await removeSchedule(shell, of);
    expect(
      await inGuest(`systemctl list-unit-files --no-legend '${unit}*'; ls /usr/local/lib/project-vms || true`),
    ).toBe("");
  });

  test("no disk in use is purged, and none is imported over it", async () => {
    await refuse(
      tool.run("purge", "alpha", "--yes"),
      "  - Pulumi.local.yaml: projects.alpha: must not be there: the disk of a project is kept for it",
      "    `project-vm destroy alpha --purge` removes VM and disk; or take the entry out, then `pulumi up`",
    );
    checkout.configure({ ...small, projects: {} });
    const used = [
      "  - project-alpha: must not be there, but is (running): the disk is its own",
      "    take alpha out of its stack's config, then `pulumi up`",
    ];
    await refuse(tool.run("purge", "alpha", "--yes"), "Nothing was removed.", ...used);
    const [newest = ""] = readdirSync(backups);
    await refuse(tool.run("import", "alpha", path.join(backups, newest)), "Nothing was imported.", ...used);
    checkout.configure({ ...small, projects: { alpha: {} } });
  });
});

describe("a kept disk", () => {
  test("stays when its project leaves the config, and has its snapshots and backups still", async () => {
    await write("three");
    hostKeyBefore = await hostKey();
    checkout.configure({ ...small, projects: {} });
    const { exitCode, all } = await checkout.pulumi("up", "--yes", "--skip-preview");
    expect([exitCode, all]).toEqual([0, expect.stringContaining("project-alpha: shut down")]);
    expect(readdirSync(folder("alpha"))).toEqual(["project.qcow2"]);
    const { keptDisks } = await checkout.outputs();
    const remove = "project-vm purge alpha --stack local";
    const size = 20 * 2 ** 30;
    expect(keptDisks).toEqual([{ name: "alpha", path: disk("alpha"), size, used: expect.any(Number), remove }]);
    expect(await snapshots()).toEqual(["first"]);
    expect(await answer("backups", "alpha")).toHaveLength(1);
  });

  test("is brought back to a snapshot, loses nothing by it, and keeps its size", async () => {
    const made = { name: "before-growth", created: expect.any(String), diskSize: 20 * 2 ** 30 };
    expect(await answer("snapshot", "create", "alpha", "before-growth")).toEqual(made);
    execaSync("qemu-img", ["resize", "-q", disk("alpha"), "24G"]);
    await succeed(tool.run("snapshot", "create", "alpha", "grown"));
    const { all } = await tool.run("snapshot", "restore", "alpha", "first");
    expect(all).toContain("alpha: its disk had 20 GiB then, and has its 24 GiB again");
    expect(readDisk(disk("alpha"), "work").text).toBe("one");
    expect(virtualSize(disk("alpha"))).toBe(24 * 2 ** 30);
    const safety = (await snapshots()).at(-1) ?? "";
    expect(safety).toMatch(/^before-restore-\d{8}-\d{6}$/);
    const restored = await answer("snapshot", "restore", "alpha", safety);
    expect(restored).toEqual({ restored: safety, before: (await snapshots()).at(-1) });
    expect(readDisk(disk("alpha"), "work").text).toBe("three");
  });

  test("whose restore is killed in the middle is restored all the same, and can be restored again", async () => {
    const begun = path.join(checkout.dir, "begun");
    tool.fake("qemu-img", `[ "$1 $2" != "snapshot -a" ] || { touch ${begun}; sleep 2; }; exec /usr/bin/qemu-img "$@"`);
    const child = tool.start("snapshot", "restore", "alpha", "first");
    await expect.poll(() => existsSync(begun), { timeout: 60_000, interval: 5 }).toBe(true);
    await killGroup(child, "SIGKILL");
    tool.fake("qemu-img", undefined);
    // On the host it goes on; the next one waits for it.
    await succeed(tool.run("snapshot", "restore", "alpha", "grown"));
    expect(readDisk(disk("alpha"), "work").text).toBe("three");
    await succeed(tool.run("snapshot", "restore", "alpha", "first"));
    expect(readDisk(disk("alpha"), "work")).toEqual({ fsck: "clean", text: "one" });
    // As a power cut between its two steps would leave it: small.
    execaSync("qemu-img", ["snapshot", "-a", "first", disk("alpha")]);
    expect(virtualSize(disk("alpha"))).toBe(20 * 2 ** 30);
    await succeed(tool.run("snapshot", "restore", "alpha", "grown"));
    expect([virtualSize(disk("alpha")), readDisk(disk("alpha"), "work").text]).toEqual([24 * 2 ** 30, "three"]);
  });

  test("is exported to a file that only its owner may read, and no file is overwritten", async () => {
    expect(await answer("export", "alpha", exported)).toEqual({ path: exported, size: expect.any(Number) });
    expect(statSync(exported).mode & 0o777).toBe(0o600);
    expect(readDisk(exported, "work")).toEqual({ fsck: "clean", text: "three" });
    const bytes = readFileSync(exported);
    await refuse(
      tool.run("export", "alpha", exported),
      "Nothing was exported.",
      `  - ${exported}: must not be there yet: nothing is overwritten`,
      "    choose another name, or move that file",
    );
    expect(readFileSync(exported).equals(bytes)).toBe(true);
    expect(readdirSync(checkout.dir).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("over ssh goes the same ways: its host is asked by ssh, and files are streamed", async () => {
    // Runs here what it is to run there.
    tool.fake("ssh", 'for command; do :; done; exec sh -c "$command"');
    const query = `command=${encodeURIComponent(tool.fakePath("ssh"))}&socket=${host.dir}/run/libvirt/libvirt-sock&proxy=netcat`;
    const projects = { alpha: { ...small.defaults, backup: { every: "1h", keep: 1 } } };
    const settings = { uri: `qemu+ssh://root@storage/system?${query}`, storageDir: host.storageDir };
    writeFileSync(
      path.join(checkout.dir, "Pulumi.remote.yaml"),
      JSON.stringify({ config: { "project-vms:host": settings, "project-vms:projects": projects } }),
    );
    const remote = (...args: string[]) => tool.run("--stack", "remote", ...args);
    await succeed(remote("snapshot", "create", "alpha", "by-ssh"));
    await succeed(remote("backup", "alpha", "--keep", "1"));
    const made = (await answer("backups", "alpha"))[0].created;
    const listed = JSON.parse(await succeed(remote("list", "--json")));
    expect(listed).toMatchObject([{ name: "alpha", backup: { every: "1h", newest: made, overdue: false } }]);
    const [newest = "", digest = ""] = readdirSync(backups).sort();
    for (const name of [newest, digest])
      renameSync(path.join(backups, name), path.join(backups, name.replace(/-\d{8}T/, "-20260101T")));
    expect(await succeed(remote("list"))).toMatch(/NEWEST BACKUP\n.* {2}OVERDUE: 2026-01-01 /);
    const findings = JSON.parse((await remote("doctor", "--json")).stdout) as { check: string; says: string }[];
    expect(findings.filter(({ check }) => check === "backups").map(({ says }) => says)).toEqual([
      expect.stringMatching(/^alpha has none since 2026-01-01T.*, though one is to be made every 1h$/),
    ]);
    const copy = path.join(checkout.dir, "copy.qcow2");
    await succeed(remote("export", "alpha", copy));
    await succeed(remote("import", "copy", copy));
    expect(readDisk(disk("copy"), "work")).toEqual({ fsck: "clean", text: "three" });
    await succeed(remote("purge", "copy", "--yes"));
    expect(existsSync(folder("copy"))).toBe(false);
    tool.fake("ssh", undefined);
  });
});

describe("an import", () => {
  const image = (name: string) => path.join(checkout.dir, `${name}.qcow2`);
  const create = (name: string, ...args: string[]) => {
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", image(name), ...args], { cwd: checkout.dir });
    return image(name);
  };

  test("takes no file that is missing, is something else, needs another, is changed or corrupt", async () => {
    const reason = async (file: string, rule: string, remedy: string) => {
      await refuse(tool.run("import", "beta", file), "Nothing was imported.", `  - ${file}: ${rule}`, `    ${remedy}`);
      expect(existsSync(folder("beta"))).toBe(false);
    };
    await reason(image("none"), "must be a file", "name a backup, or another qcow2 image");
    writeFileSync(image("text"), "x".repeat(1000));
    await reason(
      image("text"),
      "must be a qcow2 image",
      "where you know what it names, convert it: qemu-img convert -O qcow2",
    );
    const one = "where you know what it names, make it one: qemu-img convert -O qcow2";
    await reason(create("overlay", "-b", exported, "-F", "qcow2"), "must not need another file beside it", one);
    await reason(create("split", "-o", "data_file=/etc/passwd.raw", "1M"), "must not need another file beside it", one);
    rmSync("/etc/passwd.raw");
    const changed = create("changed", "64M");
    writeFileSync(`${changed}.sha512`, `${"0".repeat(128)}  changed.qcow2\n`);
    await reason(
      changed,
      `must have the SHA-512 that ${changed}.sha512 says`,
      "copy it again: it was changed, or cut off",
    );
    const corrupt = create("corrupt", "64M");
    execaSync("qemu-io", ["-c", "write -P 7 0 8M", corrupt]);
    truncateSync(corrupt, 300_000);
    await reason(corrupt, "must be whole, but is corrupt", "take another backup; `qemu-img check` says what is wrong");
  });

  test("takes no name that cannot be, and no place that is taken", async () => {
    const { all, exitCode } = await tool.run("import", "../beta", exported);
    expect([exitCode, all]).toEqual([1, expect.stringContaining("is not a DNS label")]);
    const before = readFileSync(disk("alpha"));
    await refuse(
      tool.run("import", "alpha", exported),
      "Nothing was imported.",
      `  - ${disk("alpha")}: must not be there yet: nothing is overwritten`,
      "    to replace it, purge it first: project-vm purge alpha",
    );
    expect(readFileSync(disk("alpha")).equals(before)).toBe(true);
  });

  test("that is killed leaves no disk, and the next one succeeds; of two at once, one does", async () => {
    const child = tool.start("import", "beta", exported);
    await expect.poll(() => existsSync(`${disk("beta")}.partial`), { timeout: 60_000, interval: 5 }).toBe(true);
    await killGroup(child, "SIGKILL");
    expect(existsSync(disk("beta"))).toBe(false);
    const both = await Promise.all([tool.run("import", "beta", exported), tool.run("import", "beta", exported)]);
    expect(both.map(({ exitCode }) => exitCode).sort(), both.map(({ all }) => all).join("\n")).toEqual([0, 1]);
    expect(readDisk(disk("beta"), "work")).toEqual({ fsck: "clean", text: "three" });
    expect(readdirSync(folder("beta"))).toEqual(["project.qcow2"]);
    expect(await virsh.run("vol-list", "project-beta")).toContain(disk("beta"));
  });
});

describe("a purge", () => {
  test("wants to be meant, and removes the disk and its pool, but no backup unless that is asked for", async () => {
    await refuse(
      tool.run("purge", "beta"),
      "Nothing was removed.",
      "  - --yes: must be given where there is nobody to ask",
      "    add it, if you mean it",
    );
    expect(existsSync(disk("beta"))).toBe(true);
    const { all } = await tool.run("purge", "beta", "--yes");
    expect(all).toMatch(/project\.qcow2 on qemu\+unix:.*: 24 GiB, of which .* are used/);
    expect(existsSync(folder("beta"))).toBe(false);
    expect(await answer("purge", "alpha", "--yes")).toEqual({
      done: true,
      removes: [
        expect.stringContaining(`${disk("alpha")} on `),
        expect.stringMatching(/^with \d+ snapshots$/),
        expect.stringMatching(/^\(\d backup.*: kept\)$/),
      ],
    });
    expect(
      (await virsh.run("pool-list", "--all", "--name")).split("\n").filter((name) => /alpha|beta/.test(name)),
    ).toEqual([]);
    expect(readdirSync(backups)).toHaveLength(2);
    await refuse(
      tool.run("purge", "alpha", "--yes"),
      `  - ${disk("alpha")}: must be there`,
      "    there are no other disks there",
    );
    await succeed(tool.run("purge", "alpha", "--yes", "--backups"));
    expect(existsSync(path.dirname(backups))).toBe(false);
  });
});

describe("a disk that was imported", () => {
  test("is adopted by the next update: a new root with the files and the identity of before", async () => {
    const imported = await answer("import", "alpha", exported, "--on-host");
    expect(imported).toEqual({ path: disk("alpha"), size: 24 * 2 ** 30 });
    // It had grown before it was exported.
    checkout.configure({ ...small, projects: { alpha: { disk: "24 GiB" } } });
    await succeed(checkout.pulumi("up", "--yes", "--skip-preview"));
    expect(await inGuest("cat /home/dev/project/work")).toBe("three");
    expect(await hostKey()).toBe(hostKeyBefore);
    await succeed(tool.run("snapshot", "create", "alpha", "with-three"));
  });

  test("is left alone under an external snapshot, until the commands that are named have what was written in it", async () => {
    const specs = ["vda,snapshot=external", "vdb,snapshot=external", "vdc,snapshot=no"];
    const diskspecs = specs.flatMap((spec) => ["--diskspec", spec]);
    await virsh.run("snapshot-create-as", "project-alpha", "theirs", "--disk-only", "--atomic", ...diskspecs);
    await write("four");
    const { exitCode, all } = await tool.run("resize", "alpha", "--memory", "1280 MiB", "--yes");
    expect([exitCode, all]).toEqual([
      1,
      expect.stringContaining(`must have ${disk("alpha")} as vdb, but has ${folder("alpha")}/project.theirs`),
    ]);
    const commits = all.match(/virsh -c \S+ blockcommit [^;]+/g) ?? [];
    const [forget = ""] = all.match(/virsh -c \S+ snapshot-delete [^;\n]+/) ?? [];
    expect(commits).toHaveLength(2);
    for (const command of [...commits, forget.replace("<name>", "theirs")]) await execa("sh", ["-c", command]);
    expect((await tool.run("plan")).stdout).toBe("nothing changes");
    expect(readDisk(disk("alpha"), "work").text).toBe("four");
    // Of no use any more, and whoever took the snapshot has to remove them.
    for (const overlay of ["disk.theirs", "project.theirs"]) rmSync(path.join(folder("alpha"), overlay));
    // What a root disk stands on is named after its digest.
    const [base = ""] = readdirSync(path.join(host.storageDir, "base"));
    const { stdout: digest } = await execa("sha512sum", [path.join(host.storageDir, "base", base)]);
    expect(base).toContain(digest.slice(0, 12));
  });

  test("is left alone while its VM's memory is saved, which may hold what was never written", async () => {
    await inGuest("echo five > /home/dev/project/work");
    await virsh.run("managedsave", "project-alpha");
    const { exitCode, all } = await tool.run("resize", "alpha", "--memory", "1280 MiB", "--yes");
    expect([exitCode, all]).toEqual([1, expect.stringContaining("must not have saved memory (virsh managedsave)")]);
    await succeed(tool.run("start", "alpha"));
    expect(await inGuest("cat /home/dev/project/work")).toBe("five");
  });

  test("is restored under its VM, which is shut down in order and started again", async () => {
    const { all } = await tool.run("snapshot", "restore", "alpha", "with-three");
    const steps = ["project-alpha: shut down", "alpha: restored with-three of", "project-alpha: started again"];
    expect(all.split("\n").map((line) => steps.findIndex((step) => line.includes(step)))).toEqual([0, 1, 2]);
    await virsh.run("destroy", "project-alpha");
    expect(readDisk(disk("alpha"), "work")).toEqual({ fsck: "clean", text: "three" });
    const safety = (await snapshots()).at(-1);
    expect(readDisk(disk("alpha"), "work", safety)).toEqual({ fsck: "clean", text: "five" });
  });

  test("is not restored under memory that was saved, which another disk would not fit", async () => {
    await virsh.run("start", "project-alpha");
    await virsh.run("managedsave", "project-alpha");
    // Saved memory, snapshots and backups of before among it.
    expect(openToNobody(host.dir, path.join(checkout.dir, ".local"))).toEqual([]);
    await refuse(
      tool.run("snapshot", "restore", "alpha", "with-three"),
      "  - project-alpha: must not have saved memory, which fits only the disk as it is",
      `    start it and shut it down, or give that memory up: virsh -c '${host.uri}' managedsave-remove project-alpha`,
    );
    await virsh.run("managedsave-remove", "project-alpha");
  });
});

test("in the end nothing is left but what is meant to stay", async () => {
  await succeed(checkout.pulumi("destroy", "--yes", "--skip-preview"));
  checkout.configure({ ...small, projects: {} });
  await succeed(tool.run("purge", "alpha", "--yes", "--backups"));
  expect(readdirSync(host.storageDir)).toEqual(["base"]);
});
