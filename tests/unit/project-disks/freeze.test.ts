import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { shellFor } from "../../../src/libvirt/shell.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { readFrozen, whileFrozen } from "../../../src/project-disks/freeze.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";
import { diskNode, monitorAnswer } from "../../../src/project-disks/monitor.ts";
import { projectDisk } from "../../../src/project-disks/project-disk.ts";
import { messageOf } from "../config/samples.ts";
import { hostileValues } from "../guest/hostile-values.ts";
import { withLimits } from "./limits.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "freeze-"));
  vi.stubEnv("PATH", `${dir}:${process.env.PATH}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

/** The limits of frozen.sh as they are, but for hours of waiting in a test. */
const limits = { LOCK: 1, PING: 1, FREEZE: 1, COMMAND: 1, THAW: 1, THAWED: 6, LIBVIRT: 1 };
const quick = withLimits(scriptText("frozen.sh"), limits);
const within = `within=${limits.FREEZE},${limits.THAWED}`;

const ok = (answer: unknown) => `echo '${JSON.stringify({ return: answer })}'`;
const pong = ok({});
const silence = "exec sleep 30";
const gone = 'echo "error: Guest agent is not responding: QEMU guest agent is not connected" >&2; exit 1';
const refusal =
  "echo \"error: internal error: unable to execute QEMU agent command 'guest-fsfreeze-thaw': has been disabled\" >&2; exit 1";
const late = (then: string) => `[ -e "$DIR/late" ] && { ${then}; exit; }; touch "$DIR/late"; ${silence}`;

/** A virsh whose guest answers like this, and that notes down what it was asked. */
function virsh(answers: { ping?: string; freeze?: string; thaw?: string; command?: string }): void {
  const { ping = pong, freeze = ok(1), thaw = ok(1), command = "echo done" } = answers;
  const text = `#!/bin/sh
DIR='${dir}'
case $* in
  *guest-ping*) echo ping >>"$DIR/asked"; ${ping} ;;
  *guest-fsfreeze-freeze*) echo freeze >>"$DIR/asked"; ${freeze} ;;
  *guest-fsfreeze-thaw*) echo thaw >>"$DIR/asked"; ${thaw} ;;
  *) echo command >>"$DIR/asked"; ${command} ;;
esac`;
  writeFileSync(path.join(dir, "virsh"), text, { mode: 0o755 });
}
const asked = () => readFileSync(path.join(dir, "asked"), "utf8").trimEnd().split("\n");
const args = () => [dir, "qemu:///system", "project-myapp", "/home/dev/project", "command"];
const run = () => execa("sh", ["-c", quick, "frozen.sh", ...args()], { all: true, reject: false });
const once = ["ping", "freeze", "command", "thaw"];

describe("a command between freeze and thaw", () => {
  test.each<[string, Parameters<typeof virsh>[0], string, string[]]>([
    ["that answers", {}, "frozen=yes thawed=yes", once],
    ["that is not there is not asked to freeze", { ping: gone }, "frozen=no thawed=yes", ["ping", "command"]],
    ["that hangs is not asked either", { ping: silence }, "frozen=no thawed=yes", ["ping", "command"]],
    ["that had nothing to freeze", { freeze: ok(0) }, "frozen=no thawed=yes", ["ping", "freeze", "command"]],
    ["that cannot freeze", { freeze: refusal, thaw: refusal }, "frozen=refused thawed=yes", once],
    ["that was frozen before is thawed", { freeze: refusal }, "frozen=refused thawed=yes", once],
    ["that does not answer the freeze is thawed", { freeze: silence, thaw: ok(0) }, "frozen=silent thawed=yes", once],
    ["that thaws and answers too late", { thaw: late(ok(0)) }, "frozen=yes thawed=yes", [...once, "thaw"]],
    ["whose command fails is thawed", { command: "exit 1" }, "frozen=yes thawed=yes", once],
    ["whose command hangs is thawed", { command: silence }, "frozen=yes thawed=yes", once],
  ])("of an agent %s", async (_, answers, expected, questions) => {
    virsh(answers);
    const { all, exitCode } = await run();
    expect([exitCode, all.split("\n").at(-1)]).toEqual([0, `${expected} ${within}`]);
    expect(asked()).toEqual(questions);
  });

  test.each([
    ["never answers", silence],
    ["is gone", gone],
    ["refuses", refusal],
    ["says again and again that nothing was frozen", ok(0)],
    ["answers something else", ok("1\u001b[2J")],
    ["answers without an end", "exec yes"],
    ["answers slowly, and nothing", "sleep 0.8; echo"],
  ])("ends within its limit when an agent that froze %s to the thaw, and the rest is done", async (_, thaw) => {
    virsh({ thaw });
    const started = Date.now();
    const { stdout, exitCode } = await run();
    expect(Date.now() - started).toBeLessThan((limits.THAWED + 1 + 1 + 5 + 3) * 1000);
    expect([exitCode, stdout]).toEqual([0, `done\nfrozen=yes thawed=no ${within}`]);
    expect(asked()).toContain("thaw");
    // Nothing of it is left, and the next one has its turn.
    expect(execFileSync("flock", ["-n", dir, "echo", "free"], { encoding: "utf8" })).toBe("free\n");
  });

  test("prints nothing of what its agent says, whatever that is", { timeout: 240_000 }, async () => {
    const answer = path.join(dir, "answer");
    const said = `cat '${answer}'`;
    virsh({ ping: said, freeze: said, thaw: said });
    const once = withLimits(quick, { THAWED: 0 });
    for (const [name, value] of Object.entries(hostileValues)) {
      writeFileSync(answer, JSON.stringify({ return: value }));
      const { all, exitCode } = await execa("sh", ["-c", once, "frozen.sh", ...args()], { all: true, reject: false });
      expect([exitCode, all], name).toEqual([
        0,
        expect.stringMatching(/^done\nfrozen=(yes|no|silent) thawed=(yes|no) within=1,0$/),
      ]);
    }
  });

  test("does not wait for ever for its turn", async () => {
    virsh({});
    const holder = execa("flock", [dir, "sleep", "30"], { reject: false });
    await expect.poll(() => spawnSync("flock", ["-n", dir, "true"]).status).toBe(1);
    const { all, exitCode } = await run();
    holder.kill();
    expect([exitCode, all]).toEqual([
      1,
      `error: ${dir}: must be released within 1 s by the program that works on the disk\nremedy: wait until that has ended; who it is: fuser -v '${dir}'`,
    ]);
    expect(existsSync(path.join(dir, "asked"))).toBe(false);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("goes on to the thaw after %s", async (signal) => {
    virsh({ freeze: `sleep 0.5; ${ok(1)}` });
    const child = run();
    await expect.poll(asked).toContain("freeze");
    child.kill(signal);
    expect((await child).stdout).toBe(`done\nfrozen=yes thawed=yes ${within}`);
  });
});

describe("while frozen", () => {
  const disk = () => ({ ...projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp"), folder: dir });
  const freeze = (uri: string) => whileFrozen(shellFor(uri), disk(), "command", "The snapshot was not made.");

  test.each(["qemu:///system", "qemu+ssh://root@storage/system"])(
    "the answer has all that virsh printed: %s",
    async (uri) => {
      // Runs here what it is to run there.
      writeFileSync(path.join(dir, "ssh"), '#!/bin/sh\nfor command; do :; done; exec sh -c "$command"', {
        mode: 0o755,
      });
      virsh({ command: 'echo "{}"; echo "error: no" >&2; exit 1' });
      expect(await freeze(uri)).toEqual({ wasFrozen: true, output: "{}\nerror: no", notThawed: undefined });
    },
  );

  test("what frozen.sh prints last is read back, whatever the command printed", () => {
    const printed = "frozen=no thawed=no within=1,2\nfrozen=yes thawed=no within=30,60\n";
    expect(readFrozen(disk(), printed)).toEqual({
      wasFrozen: true,
      output: "frozen=no thawed=no within=1,2",
      notThawed: {
        path: "project-myapp",
        rule: "must thaw /home/dev/project within 60 s, but its guest's agent did not",
        remedy: "in the guest: sudo fsfreeze --unfreeze /home/dev/project, or restart it: project-vm restart myapp",
      },
    });
    expect(() => readFrozen(disk(), "frozen=yes thawed=yes within=30,60\nkilled")).toThrow("ended early");
  });
});

describe("QEMU's monitor", () => {
  const disk = projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp");
  const answering = (value: unknown) => ({ run: async () => JSON.stringify({ return: value }) }) as unknown as Virsh;

  test("the disk's node is found by its file", async () => {
    const devices = [
      { device: "" },
      { inserted: { "node-name": "libvirt-1-format", file: "/vms/myapp/disk.qcow2" } },
      { inserted: { "node-name": "libvirt-2-format", file: "/vms/myapp/project.qcow2" } },
    ];
    expect(await diskNode(answering(devices), disk)).toBe("libvirt-2-format");
    await expect(diskNode(answering(devices.slice(0, 2)), disk)).rejects.toThrow(
      [
        "The VM runs without its project disk.",
        "  - project-myapp: must use /vms/myapp/project.qcow2",
        "    shut it down, and try again",
      ].join("\n"),
    );
  });

  test.each([
    [
      "Need a root block node",
      [
        "The project disk is in use.",
        "  - /vms/myapp/project.qcow2: must not be worked on by something else meanwhile, such as a backup (Need a root block node)",
        "    wait until that has ended, and try again",
      ].join("\n"),
    ],
    ["No space left on device", "QEMU refused, for project-myapp: No space left on device"],
  ])("a refusal (%s)", (desc, message) => {
    const json = JSON.stringify({ id: "libvirt-1", error: { class: "GenericError", desc } });
    expect(messageOf(() => monitorAnswer(disk, json))).toBe(message);
  });
});
