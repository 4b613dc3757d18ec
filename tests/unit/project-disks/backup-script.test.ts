import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { shellWord } from "../../../src/core/shell-word.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { backupsOf } from "../../../src/project-disks/backup.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";
import { projectDisk } from "../../../src/project-disks/project-disk.ts";
import { withLimits } from "./limits.ts";
import { onMachine } from "./on-machine.ts";

const script = path.resolve("src/project-disks/backup.sh");
/** The same with short limits, and a copy of what it hands on; as it goes to a host. */
const quick = () =>
  withLimits(scriptText("backup.sh"), { ANSWER: 1, PING: 1, FREEZE: 1, COMMAND: 2, THAW: 1, THAWED: 2, LIBVIRT: 1 });
let dir: string;
let storage: string;
let backups: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "backup script's "));
  storage = path.join(dir, "vms");
  backups = path.join(storage, "backups/myapp");
  mkdirSync(path.join(dir, "bin"));
  mkdirSync(path.join(storage, "myapp"), { recursive: true });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Puts a program of that name before those of the machine. */
const fake = (name: string, text: string) =>
  writeFileSync(path.join(dir, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

/** A libvirt that knows of no VM. */
const noVm = () => fake("virsh", 'case $* in *list*) exit ;; esac; echo "error: failed to get domain" >&2; exit 1');

const ok = (answer: unknown) => `echo '${JSON.stringify({ return: answer })}'`;
const silence = "exec sleep 60";

/** One that has it running: freezes, copies as QEMU would, thaws, and tells of the job. */
const disks = (...files: string[]) => files.map(disksLine).join("; ");
const disksLine = (file: string) => {
  const [name = "", target = "vdb"] = file.split(" as ");
  return `printf ' file   disk     ${target}      %s\\n' ${name.startsWith("volume:") ? name.slice(7) : `"$STORAGE/myapp/${name}"`}`;
};
const runningVm = ({
  job = "Completed",
  copy = "cp",
  freeze = ok(1),
  thaw = ok(1),
  domstate = "echo running",
  runs = "project.qcow2" as string | string[],
  defined = "",
  saved = "",
  xml = "<source pool='project-myapp' volume='project.qcow2' index='1'/>",
} = {}) => {
  writeFileSync(path.join(storage, "domain.xml"), xml);
  fake(
    "virsh",
    `
echo "$*" >>'${dir.replaceAll("'", "'\\''")}/asked'
case $* in
  *"list --all --name") echo project-myapp ;;
  *--with-managed-save) echo "${saved}" ;;
  *domstate*) ${domstate} ;;
  *"domblklist project-myapp --details --inactive") ${disks(...[defined || runs].flat())} ;;
  *domblklist*) ${disks(...[runs].flat())} ;;
  *dumpxml*) cat "$STORAGE/domain.xml" ;;
  *guest-ping*) ${ok({})} ;;
  *guest-fsfreeze-freeze*) ${freeze} ;;
  *guest-fsfreeze-thaw*) ${thaw} ;;
  *backup-begin*)
    ${copy} "$STORAGE/myapp/project.qcow2" "$STORAGE"/backups/myapp/"$(basename "$(ls "$STORAGE"/backups/myapp/*.job.partial)" .job.partial)".live.partial &&
      echo "Backup started" ;;
  *"domjobinfo project-myapp --completed") echo "Job type:         ${job}" ;;
  *domjobinfo*) echo "Job type:         None" ;;
  *backup-dumpxml*) exit 1 ;;
esac`,
  );
};

const env = () => ({ PATH: `${dir}/bin:${process.env.PATH}`, STORAGE: storage });
const run = (...args: string[]) =>
  execa("sh", [script, ...args, "myapp", storage, "qemu:///system"], { env: env(), reject: false, all: true });
const runQuick = (...args: string[]) =>
  execa("sh", ["-c", quick(), "backup.sh", ...args, "myapp", storage, "qemu:///system"], { env: env(), reject: false });
const files = () => readdirSync(backups).sort();
const info = (file: string) => JSON.parse(execaSync("qemu-img", ["info", "--output", "json", file]).stdout);
const finished = (stamp: string) => {
  mkdirSync(backups, { recursive: true });
  writeFileSync(path.join(backups, `myapp-${stamp}.qcow2`), stamp);
  writeFileSync(path.join(backups, `myapp-${stamp}.qcow2.sha512`), "");
};
const refusal = (place: string, rule: string, remedy: string) => `error: ${place}: ${rule}\nremedy: ${remedy}`;

describe.skipIf(!existsSync("/usr/bin/qemu-io"))("the backup of a disk", () => {
  const disk = () => path.join(storage, "myapp/project.qcow2");
  beforeEach(() => {
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", disk(), "64M"]);
    execaSync("qemu-io", ["-c", "write -P 7 1M 1M", disk()]);
    execaSync("qemu-img", ["snapshot", "-c", "of-before", disk()]);
    noVm();
  });
  const holdsTheDisk = (file: string) =>
    execaSync("qemu-io", ["-r", "-c", "read -P 7 1M 1M", "-c", "read -P 0 2M 1M", file]);

  test("that no VM uses is whole, compressed, checked, and has its digest beside it", async () => {
    const { stdout, stderr } = await run();
    expect(stderr).toBe("");
    const name = path.basename(stdout);
    expect(stdout).toBe(path.join(backups, name));
    expect(name).toMatch(/^myapp-\d{8}T\d{6}Z\.qcow2$/);
    expect(files()).toEqual([name, `${name}.sha512`]);
    const digest = createHash("sha512").update(readFileSync(stdout)).digest("hex");
    expect(readFileSync(`${stdout}.sha512`, "utf8")).toBe(`${digest}  ${name}\n`);
    holdsTheDisk(stdout);
    expect(info(stdout)).not.toHaveProperty("snapshots");
    expect(info(stdout)["actual-size"]).toBeLessThan(info(disk())["actual-size"]);
    const mode = execaSync("stat", ["-c", "%a", backups, stdout]).stdout;
    expect(mode).toBe("711\n600");
    const host = { uri: "qemu:///system", storageDir: storage };
    const [listed] = await backupsOf(shellFor(host.uri), projectDisk(host, "myapp"));
    expect(listed).toMatchObject({ name, path: stdout, size: readFileSync(stdout).length });
    expect(Math.abs(Date.now() - (listed?.created.getTime() ?? 0))).toBeLessThan(60_000);
  });

  test("that a VM uses is of one moment, between freeze and thaw", async () => {
    runningVm();
    const { stdout, stderr } = await run();
    expect(stderr).toBe("");
    holdsTheDisk(stdout);
    expect(files()).toHaveLength(2);
    const asked = readFileSync(path.join(dir, "asked"), "utf8");
    expect(asked).toMatch(
      /guest-fsfreeze-freeze-list.*\/home\/dev\/project.*\n.*backup-begin project-myapp --backupxml '.*'\n.*guest-fsfreeze-thaw/,
    );
  });

  test.each([
    ["volume:project.qcow2", "named as a volume of its pool"],
    ["/project.qcow2", "named with more slashes"],
    ["project.qcow2 as sda", "on another bus"],
  ])("that a VM has otherwise (%s, %s) is made as well", async (runs) => {
    runningVm({ domstate: "echo 'shut off'", runs });
    const { stderr } = await run();
    expect(stderr).toBe("");
    expect(files()).toHaveLength(2);
  });

  test("that a VM has on another bus, as an overlay, is refused", async () => {
    runningVm({ domstate: "echo 'shut off'", runs: "project.s1 as sda" });
    expect((await run()).stderr).toMatch(
      /^error: project-myapp: must have .* as sda, but has .*\/project\.s1\n.* blockcommit project-myapp sda /,
    );
    expect(files()).toEqual([]);
  });

  test("that a VM has under another name, beside another's in its place, is made as well", async () => {
    const other = path.join(dir, "other.qcow2");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", other, "1M"]);
    const both = ["../../other.qcow2", "project.qcow2 as vdd"];
    runningVm({ domstate: "echo 'shut off'", runs: both });
    expect(await run()).toMatchObject({ stderr: "", exitCode: 0 });
    runningVm({ runs: both });
    expect(await run("--stdout")).toMatchObject({ exitCode: 0 });
    execaSync("qemu-img", ["rebase", "-q", "-u", "-F", "qcow2", "-b", disk(), other]);
    expect((await run()).stderr).toMatch(/^error: project-myapp: must have .* as vdb, but has .*\/other\.qcow2\n/);
  });

  test.each([
    ["on the network", "volume:tank/image"],
    ["of another pool", "volume:theirs.qcow2"],
    ["that is gone", "../../gone.qcow2"],
  ])("that a VM has under another name, beside a disk %s in its place, is made as well", async (_, other) => {
    runningVm({ domstate: "echo 'shut off'", runs: [other, "project.qcow2 as vdd"] });
    expect(await run()).toMatchObject({ stderr: "", exitCode: 0 });
    runningVm({ domstate: "echo 'shut off'", runs: [other] });
    expect((await run()).stderr).toMatch(/^error: project-myapp: must have .* as vdb, but has /);
  });

  test("that a VM has under another name, beside an overlay that is a volume of its pool, is refused", async () => {
    const overlay = path.join(storage, "myapp/project.s1");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk(), overlay]);
    runningVm({ domstate: "echo 'shut off'", runs: ["volume:project.s1", "project.qcow2 as vdd"] });
    expect((await run()).stderr).toMatch(/^error: project-myapp: must have .* as vdb, but has project\.s1\n/);
  });

  test.each([
    ["in its place", ["../../scratch.raw", "project.qcow2 as vdd"]],
    ["beside it", ["project.qcow2", "../../scratch.raw as vdd"]],
    ["without ours", ["disk.qcow2 as vda", "../../scratch.raw as vdd"]],
  ])("is made where the VM has a raw disk %s, whatever its guest wrote there", async (_, runs) => {
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk(), path.join(dir, "scratch.raw")]);
    const target = runs[0]?.includes("scratch") ? "vdb" : "vdd";
    const dumped = (type: string) =>
      `<disk type='file'>\n<driver name='qemu' type='${type}'/>\n<target dev='${target}'/>\n</disk>`;
    runningVm({ domstate: "echo 'shut off'", runs, xml: dumped("raw") });
    expect(await run()).toMatchObject({ exitCode: 0 });
    if (runs.includes("project.qcow2")) return;
    runningVm({ domstate: "echo 'shut off'", runs, xml: dumped("qcow2") });
    expect((await run()).stderr).toMatch(/^error: project-myapp: must have .* but has .*\/scratch\.raw\n/);
  });

  test("that a VM has as an overlay in the seed's place is refused", async () => {
    runningVm({ domstate: "echo 'shut off'", runs: ["disk.qcow2 as vda", "project.s1 as vdc"] });
    expect((await run()).stderr).toMatch(/^error: project-myapp: must have .* as vdc, but has .*\/project\.s1\n/);
    expect(files()).toEqual([]);
    runningVm({ domstate: "echo 'shut off'", runs: ["disk.s1 as vda", "seed.iso as vdc"] });
    expect(await run()).toMatchObject({ stderr: "", exitCode: 0 });
  });

  test("whose VM others have undefined after an external snapshot is refused: it would miss all that was written since", async () => {
    const overlay = path.join(storage, "myapp/project.s1");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk(), overlay]);
    expect((await run()).stderr).toBe(
      refusal(
        disk(),
        `must have no overlay, but ${overlay} stands on it: what was written since that snapshot is there alone`,
        `if it is a snapshot's overlay, not a disk that its guest had as raw, write it back into ours: qemu-img commit -b ${shellWord(disk())} ${shellWord(overlay)}; if a blockcommit has done so, move it away`,
      ),
    );
    expect(files()).toEqual([]);
    writeFileSync(overlay, Buffer.from("QFI\xfb is all that is left of it", "latin1"));
    expect((await run()).stderr).toContain(`error: ${overlay}: must be readable to qemu-img, or it cannot be known`);
    expect(files()).toEqual([]);
  });

  describe("whose VM others have undefined after several external snapshots,", () => {
    const at = (name: string) => path.join(storage, "myapp", name);
    const lay = (name: string, base: string) =>
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, at(name)]);

    test("is refused with the last one, which has what the one beneath it lacks; and while one is missing", async () => {
      lay("project.s1", disk());
      lay("project.s2", at("project.s1"));
      expect((await run()).stderr).toContain(`qemu-img commit -b ${shellWord(disk())} ${shellWord(at("project.s2"))};`);
      // As the remedy of an earlier version had it.
      execaSync("qemu-img", ["commit", "-q", "-b", disk(), at("project.s1")]);
      renameSync(at("project.s1"), path.join(dir, "away"));
      expect((await run()).stderr).toBe(
        refusal(
          at("project.s2"),
          `must stand on what is there, but ${at("project.s1")} is not: if that stood on our disk, as a snapshot leaves it, both have what was written since`,
          `put ${at("project.s1")} back where it was; if ${at("project.s2")} is nothing of this project's disk, move it away`,
        ),
      );
      expect(files()).toEqual([]);
    });

    test("is refused with all that stand on it side by side, of which one alone can be written back", async () => {
      for (const name of ["project.s1", "project.s2"]) lay(name, disk());
      expect((await run()).stderr).toBe(
        refusal(
          disk(),
          `must have no overlay, but ${at("project.s1")} and ${at("project.s2")} stand on it side by side: what was written since those snapshots is there alone`,
          `only one of them can be written back into ours, which spoils the others: copy those first: qemu-img convert -O qcow2 <overlay> <copy>; then write that one back, if it is no disk that its guest had as raw: qemu-img commit -b ${shellWord(disk())} <overlay>; then move all of them away`,
        ),
      );
      expect(files()).toEqual([]);
    });

    test("is made beside an image on what is missing elsewhere, which was never ours", async () => {
      lay("theirs", disk());
      execaSync("qemu-img", ["rebase", "-u", "-F", "qcow2", "-b", "/nowhere/base", at("theirs")]);
      expect(await run()).toMatchObject({ stderr: "", exitCode: 0 });
    });
  });

  describe("whose VM others have undefined,", () => {
    const at = (name: string) => path.join(dir, name);
    const asked = () => readFileSync(at("asked"), "utf8");
    const lay = (name: string, base: string) =>
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, at(name)]);
    const escaped = (text: string) => text.replaceAll("'", "&apos;");
    /** A libvirt with a pool of these files elsewhere, of which each may stand on another, and with a domain that has a disk. */
    const elsewhere = (files: Record<string, string>, { disk = "", format = "qcow2", broken = "" } = {}) => {
      const rows = Object.keys(files).map((name) => ` ${name}   ${at(name)}`);
      writeFileSync(at("rows"), rows.join("\n"));
      for (const [name, base] of Object.entries(files)) {
        const store = `  <backingStore>\n    <path>${escaped(base)}</path>\n    <format type='qcow2'/>\n  </backingStore>\n`;
        writeFileSync(at(`${name}.xml`), `<volume>\n${base && store}</volume>`);
      }
      const theirs = `<disk type='file' device='disk'>\n<driver name='qemu' type='${format}'/>\n<source file='${escaped(disk)}'/>\n</disk>`;
      writeFileSync(at("domain.xml"), `<domain>\n<name>rescue</name>\n${disk && theirs}\n</domain>`);
      fake(
        "virsh",
        `cd "$STORAGE/.."; echo "$*" >>asked
case $* in
  ${broken}
  *" list --all --name") echo rescue ;;
  *" list --all --uuid") echo 6695eb01-f6a4-8304-79aa-97f2502e193f ;;
  *" dumpxml "*) cat domain.xml ;;
  *"pool-list "*"--name --type "*) echo "fast   " ;;
  *"vol-list fast") cat rows ;;
  *"vol-dumpxml "*) cat "\${*##*/}.xml" ;;
  *domstate*) exit 1 ;;
esac`,
      );
    };
    const tail = "what was written since that snapshot is there alone";
    const commit = (overlay: string) =>
      `if it is a snapshot's overlay, not a disk that its guest had as raw, write it back into ours: qemu-img commit -b ${shellWord(disk())} ${shellWord(overlay)}; if a blockcommit has done so, move it away`;

    test.each<[string, () => void]>([
      ["a pool elsewhere", () => elsewhere({ s1: disk(), "install.iso": "" })],
      ["no pool, and another VM has it", () => elsewhere({}, { disk: at("s1") })],
    ])("is refused where its snapshot's overlay is in %s", async (_, make) => {
      lay("s1", disk());
      writeFileSync(at("install.iso"), "no image");
      make();
      const { stderr } = await run();
      expect(stderr).toBe(
        refusal(disk(), `must have no overlay, but ${at("s1")} stands on it: ${tail}`, commit(at("s1"))),
      );
      expect(files()).toEqual([]);
      // Of what is no qcow2 image libvirt is not asked.
      expect(asked()).not.toMatch(/vol-dumpxml .*install\.iso/);
    });

    test("is refused where an image in a pool elsewhere stands on it by way of another", async () => {
      lay("s1", disk());
      lay("s2", at("s1"));
      elsewhere({ s2: at("s1") });
      expect((await run()).stderr).toBe(
        refusal(
          disk(),
          `must have no overlay, but ${at("s2")} stands on it by way of others: ${tail}`,
          `look at them, and move them away or write them back into ours, the last one first: qemu-img info --backing-chain ${shellWord(at("s2"))}`,
        ),
      );
    });

    test("is looked for in few questions, however many images stand on another one; none hides the one that is", async () => {
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", at("base"), "1M"]);
      const clones = Array.from({ length: 20 }, (_, i) => `clone${i}`);
      for (const name of clones) lay(name, at("base"));
      const all = Object.fromEntries(clones.map((name) => [name, at("base")]));
      elsewhere({ base: "", ...all });
      expect((await run()).exitCode).toBe(0);
      expect(asked().match(/vol-dumpxml .*/g)).toEqual([`vol-dumpxml ${at("clone0")}`]);
      lay("s1", disk());
      elsewhere({ ...all, s1: disk() });
      expect((await run()).stderr).toContain(`${at("s1")} stands on it`);
    });

    test.each<[string, () => void]>([
      ["an image that stands on something else", () => elsewhere({ other: at("base"), base: "" })],
      ["one that stands on what is not there", () => elsewhere({ other: "/nowhere/base" })],
      ["a raw disk whose guest wrote that", () => elsewhere({ s1: disk() }, { disk: at("s1"), format: "raw" })],
      ["a VM that has the disk itself", () => elsewhere({}, { disk: disk() })],
      ["a VM whose disk is away", () => elsewhere({}, { disk: "/nowhere/disk" })],
      ["a stopped pool", () => elsewhere({}, { broken: '*"pool-list --name --type "*) ;;' })],
      ["a pool that cannot be read", () => elsewhere({}, { broken: '*"pool-refresh fast") exit 1 ;;' })],
      ["a volume that libvirt cannot read", () => elsewhere({ s1: disk() }, { broken: '*"vol-dumpxml "*) exit 1 ;;' })],
      ["a VM that libvirt does not tell of", () => elsewhere({}, { broken: '*" dumpxml "*) exit 1 ;;' })],
    ])("is made in spite of %s", async (_, make) => {
      lay("s1", disk());
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", at("base"), "1M"]);
      lay("other", at("base"));
      make();
      const { exitCode, stderr } = await run();
      expect([stderr, exitCode]).toEqual(["", 0]);
    });

    test.each([
      ["is started again once it can be read", "", "had stopped it; it was started again"],
      [
        "is named while it cannot",
        "exit 1",
        "has stopped it; once it can be read, start it: virsh -c 'qemu:///system' pool-start 'fast'",
      ],
    ])("is made in spite of a pool that libvirt stops as it cannot read it, which %s", async (_, starts, became) => {
      const stopped = `*"pool-refresh fast") touch stopped; exit 1 ;; *"pool-list --name --type "*) [ -e stopped ] || echo fast ;;`;
      elsewhere({}, { broken: `${stopped} *"pool-start fast") echo started; ${starts} ;;` });
      const { exitCode, stderr } = await run();
      expect([stderr, exitCode]).toEqual([`the pool fast: libvirt could not read it and ${became}`, 0]);
      expect(asked().match(/pool-start fast/g)).toHaveLength(1);
    });
  });

  test("is not written over with a file that a raw disk's guest named as its data beside it", async () => {
    const [theirs, secret] = [path.join(storage, "myapp/scratch.raw"), path.join(dir, "secret")];
    const named = ["-o", `data_file=${secret}`, "-F", "qcow2", "-b", disk()];
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...named, theirs]);
    writeFileSync(secret, "secret".repeat(100_000));
    const { stderr } = await run();
    expect(stderr).toBe(
      refusal(
        disk(),
        `must have no overlay, but ${theirs} stands on it, and has its data in a file of its own, which no snapshot's overlay has`,
        "move that file away: a guest that had it as a raw disk may have written so",
      ),
    );
    expect(files()).toEqual([]);
  });

  test("is not told to write back by a command that the overlay's name words", async () => {
    const overlay = path.join(storage, "myapp/y';touch pwned;'");
    execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk(), overlay]);
    const [command = ""] = /qemu-img commit [^\n]*?(?=; if a)/.exec((await run()).stderr) ?? [];
    fake("qemu-img", `printf '%s\\n' "$@"`);
    const { stdout } = await execa("sh", ["-c", command], { env: env(), cwd: dir });
    expect(stdout.split("\n")).toEqual(["commit", "-b", disk(), overlay]);
    expect(existsSync(path.join(dir, "pwned"))).toBe(false);
  });

  test.each([
    ["runs on an overlay", { runs: "project.s1" }],
    ["runs on one that it will not start with again", { runs: "project.s1", defined: "project.qcow2" }],
    ["will start on one", { defined: "project.s1" }],
    ["is off and has one", { domstate: "echo 'shut off'", runs: "project.s1" }],
  ])("of a VM that %s is refused: it would miss all that was written since", async (_, vm) => {
    runningVm(vm);
    const { stderr, exitCode, stdout } = await run();
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      refusal(
        "project-myapp",
        `must have ${disk()} as vdb, but has ${storage}/myapp/project.s1`,
        `if that is an overlay of a snapshot, write it back into ours while the VM runs: virsh -c 'qemu:///system' blockcommit project-myapp vdb --active --pivot --verbose --base ${shellWord(disk())}; then forget the snapshot: virsh -c 'qemu:///system' snapshot-delete project-myapp <name> --metadata`,
      ),
    );
    expect(files()).toEqual([]);
  });

  test.each(["list --all", "domblklist"])("whose VM libvirt does not tell of (%s) is none", async (question) => {
    const rest = `*"list --all --name") echo project-myapp ;; *) exit 1 ;;`;
    fake("virsh", `case $* in *"${question}"*) exit 1 ;; ${rest} esac`);
    const { stderr, exitCode } = await run();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^error: .*: must (tell within 60 s which VMs there are|have disks that libvirt tells of)$/m,
    );
    expect(files()).toEqual([]);
  });

  test.each([
    ["fails", "exit 1"],
    ["says nothing", ":"],
  ])("of a VM of which libvirt does not say whether it runs (it %s) is none: it may write", async (_, domstate) => {
    runningVm({ domstate });
    const { stderr, exitCode, stdout } = await run();
    expect([exitCode, stdout, stderr]).toEqual([
      1,
      "",
      refusal(
        "qemu:///system",
        "must answer within 60 s, but does not say whether project-myapp runs",
        "look at libvirt there, and restart it",
      ),
    ]);
    expect(files()).toEqual([]);
  });

  test("of a VM that stops before its disk is copied is none", async () => {
    runningVm({ job: "None" });
    const { stdout, stderr, exitCode } = await run();
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      refusal("project-myapp", "must run until its disk is copied, but it or the copy was stopped", "run this again"),
    );
    expect(files()).toEqual([]);
  });

  describe("is held up by no guest:", () => {
    const notThawed = refusal(
      "project-myapp",
      "must thaw /home/dev/project within 2 s after the copy began, but its guest's agent did not",
      "in the guest: sudo fsfreeze --unfreeze /home/dev/project, or restart it: project-vm restart myapp",
    );
    const stillFrozen = "myapp: the guest did not thaw within 2 s: it may be frozen; the copy goes on";

    test("of one that does not thaw there is a backup and a loud error, and the next one is made as ever", async () => {
      runningVm({ thaw: silence });
      const { stdout, stderr, exitCode } = await runQuick();
      expect([exitCode, stderr]).toEqual([3, `${stillFrozen}\n${notThawed}`]);
      expect(files()).toEqual([path.basename(stdout), `${path.basename(stdout)}.sha512`]);
      holdsTheDisk(stdout);
      // As the timer has it: what is recent enough is not made again, and the guest is left alone.
      expect((await runQuick("--unless-within", "3600")).exitCode).toBe(0);
      runningVm();
      expect(await runQuick("--keep", "1")).toMatchObject({ exitCode: 0 });
    });

    test("to standard output all of it comes before the error", async () => {
      runningVm({ thaw: silence });
      const { stdout, stderr, exitCode } = await execa(
        "sh",
        ["-c", quick(), "backup.sh", "--stdout", "myapp", storage, "qemu:///system"],
        { env: env(), reject: false, encoding: "buffer" },
      );
      const digest = createHash("sha512").update(stdout).digest("hex");
      expect([exitCode, Buffer.from(stderr).toString()]).toEqual([3, `${stillFrozen}\nsha512 ${digest}\n${notThawed}`]);
      expect(files()).toEqual([]);
    });

    test("of one that does not freeze it is as after a power cut", async () => {
      runningVm({ freeze: silence, thaw: ok(0) });
      const { stdout, stderr } = await runQuick();
      expect(stderr).toBe(
        "myapp: the guest's agent did not freeze the disk within 1 s: the backup is as after a power cut",
      );
      holdsTheDisk(stdout);
    });

    test("one that is killed between freeze and thaw leaves no lock that hangs, and the next one clears up", async () => {
      runningVm({ thaw: silence });
      const child = spawn("sh", ["-c", quick(), "backup.sh", "myapp", storage, "qemu:///system"], {
        env: { ...process.env, ...env() },
        stdio: "ignore",
        detached: true,
      });
      const asked = () => readFileSync(path.join(dir, "asked"), "utf8");
      await vi.waitFor(() => expect(asked()).toContain("guest-fsfreeze-thaw"), { timeout: 10_000 });
      process.kill(-(child.pid as number), "SIGKILL");
      runningVm();
      await vi.waitFor(async () => expect((await runQuick()).exitCode).toBe(0), { timeout: 15_000, interval: 200 });
      expect(files()).toHaveLength(2);
    });

    test.each(["domstate", "copy"])("a libvirt that hangs (%s) is said to, and leaves no half backup", async (step) => {
      runningVm({ [step]: step === "copy" ? "sleep 60;" : silence });
      const { stderr, exitCode } = await runQuick();
      expect(exitCode).toBe(1);
      expect(stderr).toBe(
        step === "domstate"
          ? refusal(
              "qemu:///system",
              "must answer within 1 s, but does not say whether project-myapp runs",
              "look at libvirt there, and restart it",
            )
          : refusal(
              disk(),
              "must be copied by libvirt, but it says: no answer within 2 s ",
              "if project-myapp has another job, wait until that has ended",
            ),
      );
      expect(files()).toEqual([]);
    });
  });

  test("that libvirt refuses says why, and whose agent is silent is said to be as after a power cut", async () => {
    fake(
      "virsh",
      `case $* in
  *"list --all --name") echo project-myapp ;;
  *domstate*) echo paused ;;
  *domblklist*) printf ' file   disk     vdb      %s\\n' "$STORAGE/myapp/project.qcow2" ;;
  *guest-ping*) echo "error: Guest agent is not responding" >&2; exit 1 ;;
  *backup-begin*) echo "error: Timed out during operation" >&2; exit 1 ;;
  *) exit 1 ;;
esac`,
    );
    expect((await run()).stderr).toBe(
      [
        "myapp: the guest's agent did not freeze the disk: the backup is as after a power cut",
        refusal(
          disk(),
          "must be copied by libvirt, but it says: Timed out during operation ",
          "if project-myapp has another job, wait until that has ended",
        ),
      ].join("\n"),
    );
    expect(files()).toEqual([]);
  });

  describe("that names another file has nothing of that in it:", () => {
    const secret = () => path.join(dir, "secret");
    const leading = () => path.join(dir, "leading.qcow2");
    const written =
      "another program has written that: keep the file to look into it, and go back to a backup (docs/data.md)";
    beforeEach(() => {
      writeFileSync(secret(), "secret".repeat(100_000));
      execaSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret(), leading()]);
    });

    test("the disk of a VM that is off", async () => {
      copyFileSync(leading(), disk());
      const { exitCode, stdout, stderr } = await run();
      expect([exitCode, stdout]).toEqual([1, ""]);
      expect(stderr).toBe(refusal(disk(), "must not need another file beside it", written));
      expect(files()).toEqual([]);
    });

    test("QEMU's copy of the disk of a VM that runs", async () => {
      fake("leading", 'cp "$STORAGE/../leading.qcow2" "$2"');
      runningVm({ copy: "leading" });
      const { exitCode, stderr } = await run();
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`: must not need another file beside it\n`)]);
      expect(stderr).toMatch(/^error: .*\.live\.partial: must not need/);
      expect(files()).toEqual([]);
    });
  });

  test("to standard output leaves nothing on the host, and announces the digest", async () => {
    const { stdout, stderr } = await execa("sh", [script, "--stdout", "myapp", storage, "qemu:///system"], {
      env: env(),
      encoding: "buffer",
    });
    expect(Buffer.from(stderr).toString()).toBe(`sha512 ${createHash("sha512").update(stdout).digest("hex")}`);
    expect(files()).toEqual([]);
  });

  test("of a VM that is off with saved memory says what that lacks", async () => {
    runningVm({ domstate: "echo 'shut off'", saved: "project-myapp" });
    const { exitCode, stderr } = await run();
    expect([exitCode, stderr]).toEqual([
      0,
      "myapp: its memory is saved (virsh managedsave), so the backup is as after a power cut; for a whole one start it first",
    ]);
  });

  test("keeps so many of its own, never fewer, and nobody else's", async () => {
    const old = ["20200101T000000Z", "20210101T000000Z", "20220101T000000Z"];
    for (const stamp of old) finished(stamp);
    const others = ["myapp-20190101T000000Z.qcow2", "myapp-backup.qcow2", "other-20190101T000000Z.qcow2", "notes.txt"];
    for (const name of others) writeFileSync(path.join(backups, name), "");
    const { stdout, stderr } = await run("--keep", "2");
    expect(stderr).toBe("myapp: removed the backup of 20200101T000000Z\nmyapp: removed the backup of 20210101T000000Z");
    const left = [path.basename(stdout), "myapp-20220101T000000Z.qcow2"];
    expect(files()).toEqual([...left, ...left.map((name) => `${name}.sha512`), ...others].sort());
  });

  test("displaces none that the clock says is newer, and is displaced by none", async () => {
    const ahead = ["29990101T000000Z", "29990102T000000Z"];
    for (const stamp of ["20200101T000000Z", ...ahead]) finished(stamp);
    const { stdout, stderr } = await run("--keep", "1");
    const left = [path.basename(stdout), ...ahead.map((stamp) => `myapp-${stamp}.qcow2`)];
    expect(files()).toEqual(left.flatMap((name) => [name, `${name}.sha512`]));
    expect(stderr).toBe(
      "myapp: the backup of 29990102T000000Z is stamped in the future, and does not count\nmyapp: removed the backup of 20200101T000000Z",
    );
  });

  test("is not made while the newest one is recent enough", async () => {
    const { stdout } = await run("--unless-within", "3600");
    expect(stdout).not.toBe("");
    const again = await run("--unless-within", "3600");
    expect([again.exitCode, again.stdout, again.stderr]).toEqual([0, "", "myapp: the newest backup is recent enough"]);
    rmSync(`${stdout}.sha512`);
    expect((await run("--unless-within", "3600", "--keep", "5")).stdout).not.toBe("");
  });

  test("is made whatever is stamped in the future, and judged by what is not", async () => {
    finished("20370101T000000Z");
    const ahead = "myapp: the backup of 20370101T000000Z is stamped in the future, and does not count";
    const { stdout, stderr } = await run("--unless-within", "3600");
    expect([path.basename(stdout), stderr]).toEqual([expect.stringMatching(/^myapp-20\d{6}T\d{6}Z\.qcow2$/), ahead]);
    const again = await run("--unless-within", "3600");
    expect([again.stdout, again.stderr]).toEqual(["", `${ahead}\nmyapp: the newest backup is recent enough`]);
  });

  test("is not begun without room for it", async () => {
    fake("df", "echo header; echo '/dev/x 100 40 60000 40% /vms'");
    const { stderr, exitCode } = await run();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^error: .*\/vms\/backups\/myapp: must have 51\d MiB free, but has 58 MiB\nremedy: free space there, or keep fewer backups$/,
    );
    expect(files()).toEqual([]);
  });

  test("is refused when another program writes to the disk", async () => {
    const writer = spawn("qemu-io", [disk()], { stdio: ["pipe", "pipe", "ignore"] });
    await new Promise((resolve) => writer.stdout.once("data", resolve));
    const { stderr, exitCode } = await run();
    writer.stdin.end("quit\n");
    expect(exitCode).toBe(1);
    expect(stderr).toContain('Failed to get shared "write" lock');
    expect(stderr).toContain(
      refusal(
        disk(),
        "must be readable and in use by nobody else",
        "see above; if its VM was just started, run this again",
      ),
    );
    expect(files()).toEqual([]);
  });

  test("is not put below a disk that is not mounted, where it would be gone with the next mount, and counts for none there", async () => {
    const machine = await mkdtemp(path.join(tmpdir(), "machine-"));
    mkdirSync(path.join(machine, "units"));
    writeFileSync(path.join(machine, "mounts"), "");
    writeFileSync(
      path.join(machine, "fstab"),
      `/dev/sdb1 ${path.join(storage, "backups").replaceAll(" ", "\\040")} ext4\n`,
    );
    const args = ["-c", onMachine(scriptText("backup.sh"), machine), "backup.sh", "--keep", "1", "myapp", storage, "x"];
    const { exitCode, stderr } = await execa("sh", args, { env: env(), reject: false });
    await rm(machine, { recursive: true });
    expect([exitCode, stderr]).toEqual([
      1,
      refusal(
        backups,
        `must be on what ${machine}/fstab mounts at ${storage}/backups, but nothing is mounted there now`,
        `mount it: mount ${shellWord(`${storage}/backups`)}; if there is no such disk any more, take it out of ${machine}/fstab`,
      ),
    ]);
    expect(existsSync(backups)).toBe(false);
  });

  test("of a project without a disk is refused", async () => {
    rmSync(disk());
    expect((await run()).stderr).toBe(refusal(disk(), "must be there", "name a project that has a disk"));
    expect(existsSync(backups)).toBe(false);
  });

  describe("that is killed while it packs", () => {
    /** Waits, once, as a large disk would have it wait. */
    const slowly = () => fake("qemu-img", `[ "$1" != convert ] || sleep 2; exec /usr/bin/qemu-img "$@"`);
    const start = async () => {
      slowly();
      const child = spawn("sh", [script, "myapp", storage, "qemu:///system"], {
        env: { ...process.env, ...env() },
        stdio: "ignore",
      });
      await vi.waitFor(
        () => expect(execaSync("pgrep", ["-f", `convert -c .*${storage}`], { reject: false }).stdout).not.toBe(""),
        { timeout: 10_000 },
      );
      return child;
    };

    test("by SIGKILL leaves nothing that looks finished; it ends before the next one, which clears up", async () => {
      const child = await start();
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await closed;
      expect(files().filter((name) => !name.endsWith(".partial"))).toEqual([]);
      expect((await run()).stderr).toBe(
        refusal(disk(), "must not be backed up twice at once", "wait until the other backup has ended"),
      );
      await vi.waitFor(async () => expect((await run()).exitCode).toBe(0), { timeout: 15_000, interval: 200 });
      expect(files()).toHaveLength(2);
    });

    test("by SIGTERM clears up by itself", async () => {
      const child = await start();
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      await closed;
      expect(files()).toEqual([]);
    });
  });

  test("clears up what others left: unfinished files and digests of nothing, but no backup", async () => {
    finished("20200101T000000Z");
    const left = [
      "qcow2.partial",
      "qcow2.sha512.partial",
      "live.partial",
      "job.partial",
      "said.partial",
      "qcow2.sha512",
    ];
    for (const end of left) writeFileSync(path.join(backups, `myapp-20210101T000000Z.${end}`), "");
    writeFileSync(path.join(backups, "mine.partial"), "");
    const { stdout } = await run();
    const name = path.basename(stdout);
    const old = "myapp-20200101T000000Z.qcow2";
    expect(files()).toEqual(["mine.partial", name, `${name}.sha512`, old, `${old}.sha512`].sort());
  });

  test.each(["virsh", "qemu-img"])("without %s on the host says so", async (program) => {
    // All that the script uses, but for that one.
    const bin = path.join(dir, "few");
    mkdirSync(bin);
    const wanted = ["sh", "qemu-img", "flock", "setsid", "sha512sum", "virsh"].filter((name) => name !== program);
    for (const name of wanted) fake(`../few/${name}`, "exit 1");
    for (const name of ["cat", "tr"]) fake(`../few/${name}`, `exec /usr/bin/${name} "$@"`);
    const { stderr } = await execa("/bin/sh", [script, "myapp", storage, "x"], { env: { PATH: bin }, reject: false });
    expect(stderr).toBe(refusal(program, "must be on the PATH of the host", "install it there"));
  });
});

test.skipIf(!existsSync("/usr/bin/shellcheck"))("the scripts are as shellcheck wants them", () => {
  execaSync(
    "shellcheck",
    readdirSync("src/project-disks").flatMap((name) =>
      name.endsWith(".sh") ? [path.join("src/project-disks", name)] : [],
    ),
  );
});
