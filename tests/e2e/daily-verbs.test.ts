import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedHost, stopEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { consoleLogFile } from "../../src/libvirt/console-log.ts";
import { markStarting } from "../../src/libvirt/marks.ts";
import { virshFor } from "../../src/libvirt/virsh.ts";
import type { Finding } from "../../src/operations/doctor/finding.ts";
import { cutNotice } from "../../src/operations/exec.ts";
import type { VmRow } from "../../src/operations/rows.ts";
import type { VmStatus } from "../../src/operations/status.ts";
import { Checkout } from "./support/checkout.ts";
import { imageOn } from "./support/image-header.ts";
import { ProjectVmTool, refuse, succeed } from "./support/project-data.ts";
import { screenOf } from "./support/screen.ts";

const bin = path.resolve(import.meta.dirname, "../../bin/project-vm");
const small = { defaults: { memory: "1 GiB", cpus: 2, disk: "2 GiB", rootDisk: "12 GiB" } };
const checkout = new Checkout("daily-verbs");
const { host, virsh } = checkout;
const tool = new ProjectVmTool(checkout);

beforeAll(async () => {
  await checkout.create();
  await startEmbeddedHost(host, console.error);
});
afterAll(() => checkout.remove());

const list = async () => JSON.parse(await succeed(tool.run("list", "--json"))) as VmRow[];
const status = async () => JSON.parse(await succeed(tool.run("status", "alpha", "--json"))) as VmStatus;
const stateOf = async (name: string) => (await list()).find((row) => row.name === name)?.state;
const doctor = async (...args: string[]) => {
  const { exitCode, stdout } = await tool.run("doctor", "--json", ...args);
  return { exitCode, findings: JSON.parse(stdout) as Finding[] };
};

/**
 * Runs project-vm in a terminal of its own; once `prompt` is on the screen, `input` is typed.
 *
 * @param insists types it again every second: what is typed while a program sets its terminal up is lost
 */
async function inTerminal(command: string, prompt = /(?!)/, input = "", insists = false) {
  const child = execa("script", ["-qec", `stty cols 150 rows 40; exec '${bin}' ${command}`, "/dev/null"], {
    cwd: checkout.dir,
    reject: false,
    timeout: 14 * 60_000,
    env: { TERM: "xterm" },
  });
  let screen = "";
  let typing: NodeJS.Timeout | undefined;
  child.stdout.on("data", (text: Buffer) => {
    const isNew = !prompt.test(screen);
    screen += text;
    if (!isNew || !prompt.test(screen)) return;
    child.stdin.write(input);
    if (insists) typing = setInterval(() => child.stdin.write(input), 1000);
  });
  const { exitCode, stdout } = await child;
  clearInterval(typing);
  return { exitCode, screen: stdout };
}

describe("before anything is made", () => {
  test("a project is listed as not made, and every verb says how to make it", async () => {
    checkout.configure({ ...small, projects: { alpha: {} } });
    await succeed(checkout.pulumi("stack", "init"));
    expect(await list()).toEqual([
      {
        stack: "local",
        name: "alpha",
        state: "not made",
        inConfig: true,
        memory: 2 ** 30,
        cpus: 2,
        disk: { size: 2 ** 31, used: 0 },
        addresses: [],
        backup: null,
      },
    ]);
    const verbs = [["start"], ["stop"], ["restart"], ["status"], ["ssh"], ["console"], ["logs"]];
    for (const verb of verbs) {
      await refuse(
        tool.run(...verb, "alpha"),
        "  - alpha: must have been made, but is only in the config",
        "    make it: project-vm apply --stack local, or pulumi up -s local",
      );
    }
  });

  test("a name that nobody has is refused, with the nearest", async () => {
    await refuse(tool.run("exec", "alhpa", "--", "true"), "    did you mean alpha? (there are alpha)");
  });

  test("the doctor finds the host in order", async () => {
    const { exitCode, findings } = await doctor();
    expect(exitCode, JSON.stringify(findings, null, 1)).toBe(0);
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(["config", "libvirt", "QEMU", "network", "pools", "disk space", "memory", "KVM", "state"]),
    );
  });
});

describe("a config with mistakes", () => {
  test("does not keep the doctor from telling them, and from looking at the engine", async () => {
    checkout.configure({ ...small, projects: { alpha: { cpus: 0, memroy: "1 GiB" } } });
    const { exitCode, findings } = await doctor();
    checkout.configure({ ...small, projects: { alpha: {} } });
    expect(exitCode).toBe(1);
    expect(findings.map(({ level, check }) => `${level} ${check}`)).toEqual([
      ...["failure config", "failure config", "ok engine"],
      ...[expect.stringMatching(/ plugin processes$/), "ok lock", "ok state files"],
    ]);
    expect(findings.map(({ says }) => says)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^Pulumi\.local\.yaml: projects\.alpha\.cpus: .*, but is 0$/),
        expect.stringContaining("projects.alpha.memroy"),
      ]),
    );
  });
});

describe("a VM that runs", () => {
  test("is made with each stage on the screen as it passes, and what is waited for below", async () => {
    const { exitCode, screen: written } = await inTerminal("create alpha --yes");
    expect(exitCode, written).toBe(0);
    expect(written).toMatch(/\r. \d\d:\d\d {2}project-alpha: waiting for cloud-init/);
    const screen = screenOf(written).map((line) => line.replace(/^\d\d:\d\d/, "mm:ss").replace(/[\d.]+ s$/, "N s"));
    // Side by side; and the base image, which another test may have made.
    const others = /(docker|nix|claude) ok, |^mm:ss {2}(?!local|project-alpha|alpha)/;
    expect(screen.filter((line) => !others.test(line))).toEqual([
      "mm:ss  local: looking at what would change",
      "mm:ss  alpha is in Pulumi.local.yaml already and not finished: going on with it",
      "alpha: new VM, new project disk of 2 GiB",
      "mm:ss  local: updating",
      "mm:ss  project-alpha: boot ok, N s",
      "mm:ss  project-alpha: cloud-init ok, N s",
      "mm:ss  project-alpha: disk ok, N s",
      "mm:ss  project-alpha: network ok, N s",
      "mm:ss  local: updated",
      expect.stringMatching(/^READY alpha {2}ssh -F \S+ project-alpha$/),
    ]);
  });

  test("is listed with its address, and its status has what the state and the host know", async () => {
    const [row] = await list();
    expect(row).toMatchObject({ state: "running", addresses: [expect.stringMatching(/^10\.77\.0\.\d+$/)] });
    expect(await status()).toMatchObject({
      ...{ stack: "local", name: "alpha", state: "running", inConfig: true, memory: 2 ** 30, cpus: 2 },
      addresses: row?.addresses,
      image: expect.stringMatching(/^debian-testing-[0-9a-f]{12}\.qcow2$/),
      disks: {
        root: { path: `${host.storageDir}/alpha/disk.qcow2`, size: 12 * 2 ** 30, used: expect.any(Number) },
        project: { path: `${host.storageDir}/alpha/project.qcow2`, size: 2 ** 31, used: expect.any(Number) },
      },
      secondsToReady: expect.any(Number),
      stages: { boot: expect.any(Number), docker: expect.any(Number) },
      tailnetName: null,
    });
  });

  test("exec keeps words, output and exit code apart, as root and as dev", async () => {
    const script = 'echo "out $1"; echo "err $(whoami) $PWD" >&2; exit 7';
    const asRoot = await tool.run("exec", "alpha", "--", "sh", "-c", script, "sh", "a  'b' $c");
    expect(asRoot).toMatchObject({ exitCode: 7, stdout: "out a  'b' $c", stderr: "err root /root" });
    const asDev = await tool.run("exec", "alpha", "--user", "dev", "--", "sh", "-c", script, "sh", "x");
    expect(asDev).toMatchObject({ exitCode: 7, stdout: "out x", stderr: "err dev /home/dev" });
    expect((await tool.run("exec", "alpha", "--", "no-such-program")).exitCode).toBe(127);
  });

  test("exec gives what a program writes byte for byte", async () => {
    const program = ["exec", "alpha", "--", "head", "-c", "50000", "/bin/ls"];
    const { stdout } = await execa(bin, program, { cwd: checkout.dir, encoding: "buffer" });
    const inside = await succeed(tool.run("exec", "alpha", "--", "sh", "-c", "head -c 50000 /bin/ls | sha256sum"));
    expect(`${createHash("sha256").update(stdout).digest("hex")}  -`).toBe(inside);
  });

  test("exec of a program that writes much gives the beginning, says so, and leaves the VM its agent", async () => {
    const script = "head -c 20000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/zero | tr '\\0' y >&2";
    const { exitCode, stdout, stderr } = await tool.run("exec", "alpha", "--", "sh", "-c", script);
    expect([exitCode, stdout.length, stderr.replace(/^y*/, "")]).toEqual([1, 2 * 2 ** 20, cutNotice("alpha")]);
    expect((await tool.run("exec", "alpha", "--", "true")).exitCode).toBe(0);
  });

  test("exec hands over what is piped in, much of it too", async () => {
    const command = `head -c 65536 /dev/zero | tr '\\0' x | '${bin}' exec alpha -- sh -c 'sha256sum; exit 4'`;
    const { exitCode, all } = await execa("bash", ["-c", command], { cwd: checkout.dir, reject: false, all: true });
    const sum = createHash("sha256").update("x".repeat(65_536)).digest("hex");
    expect([exitCode, all]).toEqual([4, `${sum}  -`]);
  });

  test("ssh runs a command with its exit code, and in a terminal it is one", async () => {
    expect(await tool.run("ssh", "alpha", "--", "whoami; exit 5")).toMatchObject({ exitCode: 5, stdout: "dev" });
    const asked = await tool.run("ssh", "alpha", "--json", "--", "whoami; echo no >&2; exit 5");
    expect([asked.exitCode, JSON.parse(asked.stdout)]).toEqual([5, { exitCode: 5, stdout: "dev\n", stderr: "no\n" }]);
    const { command } = JSON.parse(await succeed(tool.run("ssh", "alpha", "--json")));
    expect(command).toEqual(["ssh", "-F", expect.any(String), "--", "project-alpha"]);
    const { exitCode, screen } = await inTerminal("ssh alpha", /\$ $/, "tty; echo $((6 * 7))-is-it; exit 3\n");
    expect(exitCode).toBe(3);
    expect(screen).toMatch(/\/dev\/pts\/\d/);
    expect(screen).toContain("42-is-it");
  });

  test("cp takes files there and back", async () => {
    const folder = path.join(checkout.dir, ".local/copied");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "note"), "hello\n");
    await succeed(tool.run("cp", "-r", folder, "alpha:project/"));
    const back = JSON.parse(await succeed(tool.run("cp", "alpha:project/copied/note", `${folder}/back`, "--json")));
    expect(back).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    const failed = await tool.run("cp", "alpha:nothing", folder, "--json");
    const reason = { exitCode: 1, stdout: "", stderr: expect.stringContaining("No such file") };
    expect([failed.exitCode, JSON.parse(failed.stdout)]).toEqual([1, reason]);
    expect(readFileSync(path.join(folder, "back"), "utf8")).toBe("hello\n");
    expect(await tool.run("cp", "a", "b")).toMatchObject({ exitCode: 2, stdout: "" });
  });

  test("logs shows the console, cloud-init's output, and goes on with what comes", async () => {
    expect((await succeed(tool.run("logs", "alpha", "--lines", "5"))).split("\n").length).toBeLessThanOrEqual(5);
    expect(await succeed(tool.run("logs", "alpha"))).toContain("project-alpha login:");
    const { lines } = JSON.parse(await succeed(tool.run("logs", "alpha", "--lines", "5", "--json")));
    expect(lines).toHaveLength(5);
    expect(await succeed(tool.run("logs", "alpha", "--cloud-init"))).toMatch(/cloud-init/i);
    const following = execa(bin, ["logs", "alpha", "--follow", "--lines", "1"], { cwd: checkout.dir, reject: false });
    let seen = "";
    following.stdout.on("data", (text) => {
      seen += text;
    });
    await expect.poll(() => seen, { timeout: 60_000 }).not.toBe("");
    await tool.run("exec", "alpha", "--", "sh", "-c", "echo seen-on-the-console > /dev/console");
    await expect.poll(() => seen, { timeout: 60_000 }).toContain("seen-on-the-console");
    following.kill("SIGINT");
    await following;
    // What a guest may begin a part of it with: an image that stands on a FIFO, at which whoever opens it waits for good.
    const fifo = path.join(checkout.dir, ".local/fifo");
    await execa("mkfifo", [fifo]);
    writeFileSync(`${consoleLogFile(host.storageDir, "alpha")}.1`, imageOn(fifo));
    await virsh.run("pool-refresh", "project-alpha");
    expect(await virsh.run("vol-list", "project-alpha")).not.toContain("console");
    expect(await succeed(tool.run("logs", "alpha", "--lines", "5"))).not.toBe("");
  });

  test("disks that any user may read are told by the doctor, and closed by --fix while the VM runs", async () => {
    const file = path.join(host.storageDir, "alpha/project.qcow2");
    chmodSync(file, 0o644);
    const found = async (...args: string[]) =>
      (await doctor(...args)).findings.find(({ check }) => check === "disk files");
    expect(await found()).toMatchObject({ level: "failure", says: expect.stringContaining(file), fix: "possible" });
    expect(await found("--fix")).toMatchObject({ fix: "fixed" });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await found()).toMatchObject({ level: "ok" });
    expect(
      await succeed(
        tool.run(
          "exec",
          "alpha",
          "--",
          "sh",
          "-c",
          "echo still > /home/dev/project/x && sync && cat /home/dev/project/x",
        ),
      ),
    ).toBe("still");
  });

  test("they are closed by the next update too, which changes nothing else", async () => {
    const file = path.join(host.storageDir, "alpha/project.qcow2");
    const inode = statSync(file).ino;
    chmodSync(file, 0o644);
    await succeed(checkout.pulumi("preview", "--expect-no-changes"));
    expect(statSync(file).mode & 0o777).toBe(0o644);
    await succeed(checkout.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes"));
    expect([statSync(file).mode & 0o777, statSync(file).ino]).toEqual([0o600, inode]);
  });

  test("console attaches a terminal, and Ctrl-] leaves it", async () => {
    const { exitCode, screen } = await inTerminal("console alpha", /Escape character is/, "\x1d", true);
    expect(exitCode).toBe(0);
    expect(screen).toContain("Connected to domain 'project-alpha'");
    const { command } = JSON.parse(await succeed(tool.run("console", "alpha", "--json")));
    expect(command).toEqual(["virsh", "-c", host.uri, "console", "project-alpha"]);
  });

  test("when its address changed, ssh finds it by itself", async () => {
    const targets = path.join(checkout.dir, ".local/ssh/local/targets.json");
    const before = readFileSync(targets, "utf8");
    writeFileSync(targets, before.replace(/10\.77\.0\.\d+/, "10.77.0.250"));
    await expect(succeed(tool.run("ssh", "alpha", "--", "hostname"))).resolves.toBe("project-alpha");
    expect(JSON.parse(readFileSync(targets, "utf8"))).toEqual(JSON.parse(before));
  });
});

describe("a VM that is stopped", () => {
  test("stays so through an update, and says how to start it", async () => {
    const stopped = await tool.run("stop", "alpha", "--json");
    expect(JSON.parse(stopped.stdout)).toMatchObject({ name: "alpha", state: "shut off" });
    // Its guest did as it was asked to: its power was not cut.
    expect(stopped.stderr).toMatch(/project-alpha: shut down, \d+ s$/);
    expect(await stateOf("alpha")).toBe("shut off");
    await succeed(checkout.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes"));
    expect(await stateOf("alpha")).toBe("shut off");
    await refuse(
      tool.run("ssh", "alpha"),
      "  - alpha: must be running, but is shut off",
      "    start it: project-vm start alpha --wait --stack local",
    );
    expect((await tool.run("stop", "alpha")).all).toContain("project-alpha: is off already");
  });

  test("Ctrl-C ends waiting for it, and nothing else", async () => {
    const { exitCode, screen } = await inTerminal("start alpha --wait", /waiting for boot/, "\x03");
    expect(exitCode, screen).toBe(130);
    expect(screenOf(screen).map((line) => line.replace(/^\d\d:\d\d/, "mm:ss"))).toEqual([
      "mm:ss  project-alpha: started",
    ]);
    expect(await stateOf("alpha")).toBe("running");
    await succeed(tool.run("stop", "alpha", "--force"));
  });

  test("is started by the next update where a restart has left it off, which is said before", async () => {
    // What a restart notes first; it is then cut off.
    await markStarting(virsh, "project-alpha", true);
    expect(await succeed(tool.run("plan"))).toBe("alpha: started again, data kept");
    await succeed(tool.run("apply", "--yes"));
    expect(await stateOf("alpha")).toBe("running");
    expect(await succeed(tool.run("plan"))).toBe("nothing changes");
  });

  test("is waited for, stage by stage, and ssh works at once", async () => {
    rmSync(path.join(checkout.dir, ".local/ssh/local"), { recursive: true });
    const { exitCode, all } = await tool.run("start", "alpha", "--wait");
    expect(exitCode, all).toBe(0);
    // Nothing moves where there is no terminal.
    for (const moving of ["\r", "\x1b"]) expect(all).not.toContain(moving);
    expect(all).toMatch(
      /project-alpha: runs already[\s\S]*boot ok[\s\S]*claude ok[\s\S]*project-alpha: ready, [\d.]+ s/,
    );
    await expect(succeed(tool.run("ssh", "alpha", "--", "cat project/copied/note"))).resolves.toBe("hello");
  });

  test("whose guest has suspended itself is listed so, and is the same guest once start has woken it", async () => {
    const boot = () => checkout.ssh("alpha", "cat /proc/sys/kernel/random/boot_id");
    const before = await boot();
    await checkout.ssh(
      "alpha",
      "sudo systemd-run --quiet --on-active=1s --timer-property=AccuracySec=1s systemctl suspend",
    );
    await expect.poll(() => stateOf("alpha"), { timeout: 60_000, interval: 500 }).toBe("suspended");
    await refuse(
      tool.run("ssh", "alpha"),
      "  - alpha: must be running, but is suspended",
      "    wake it: project-vm start alpha --stack local",
    );
    expect((await tool.run("start", "alpha")).all).toContain("project-alpha: started");
    expect(await stateOf("alpha")).toBe("running");
    await expect.poll(() => boot().catch(String), { timeout: 60_000, interval: 500 }).toBe(before);
  });

  test("that reboots by itself runs on as the domain that it is", async () => {
    const domain = "project-alpha";
    const before = await virsh.run("domid", domain);
    const rebooted = virshFor(host.uri, 300).run("event", domain, "--event", "reboot", "--timeout", "240");
    await checkout.ssh(
      "alpha",
      "sudo systemd-run --quiet --on-active=1s --timer-property=AccuracySec=1s systemctl reboot",
    );
    expect(await rebooted).toContain(`event 'reboot' for domain '${domain}'`);
    expect(await virsh.run("domid", domain)).toBe(before);
    expect(await stateOf("alpha")).toBe("running");
  });

  test("is forced off when it is told so, and a restart brings it back", async () => {
    await succeed(tool.run("stop", "alpha", "--force"));
    expect(await stateOf("alpha")).toBe("shut off");
    expect(await succeed(tool.run("plan"))).toBe("nothing changes");
    const sshFiles = path.join(checkout.dir, ".local/ssh/local");
    const config = readFileSync(path.join(sshFiles, "config"), "utf8");
    rmSync(sshFiles, { recursive: true });
    await succeed(tool.run("restart", "alpha"));
    expect(await stateOf("alpha")).toBe("running");
    // By its lease and the state: the guest is not up yet.
    expect(readFileSync(path.join(sshFiles, "config"), "utf8")).toBe(config);
    const early = await tool.run("ssh", "alpha", "--", "true");
    expect([early.exitCode, early.stderr]).toEqual([
      255,
      expect.stringContaining("    wait for it: project-vm start alpha --wait --stack local"),
    ]);
    expect((await tool.run("stop", "alpha", "--force")).all).toContain("project-alpha: its power is cut");
    expect(await stateOf("alpha")).toBe("shut off");
  });
});

describe("an embedded host that is down", () => {
  test("is said to be, with what starts it, and start does", async () => {
    await stopEmbeddedHost(host, console.error);
    const remedy = "    Start this checkout's embedded host: make up; `project-vm start` and `apply` start it too";
    await refuse(tool.run("status", "alpha"), remedy);
    const { exitCode, all } = await tool.run("start", "alpha");
    expect([exitCode, all]).toEqual([
      0,
      expect.stringMatching(/embedded host: libvirtd answers[\s\S]*project-alpha: started/),
    ]);
    await succeed(tool.run("stop", "alpha", "--force"));
  });
});

describe("what goes wrong", () => {
  test("a VM of another stack is refused, with that stack", async () => {
    writeFileSync(
      path.join(checkout.dir, "Pulumi.other.yaml"),
      `config:\n  project-vms:host: {uri: "${host.uri}", storageDir: ${host.storageDir}}\n  project-vms:projects: {beta: {}}\n`,
    );
    const rest = "    name that stack: --stack";
    await refuse(
      tool.run("start", "alpha", "--stack", "other"),
      "  - alpha: must be of the stack other, but is of the stack local",
      `${rest} local`,
    );
    await refuse(
      tool.run("start", "beta"),
      "  - beta: must be of the stack local, but is in Pulumi.other.yaml",
      `${rest} other`,
    );
    // The checkout has the repository's example stacks too, whose hosts are not there.
    const rows = JSON.parse((await tool.run("list", "--all-stacks", "--json")).stdout) as VmRow[];
    expect(rows.map(({ stack, name }) => `${stack}/${name}`)).toEqual(["local/alpha", "other/beta"]);
  });

  test("the stack is remembered when it is chosen", async () => {
    await succeed(tool.run("use", "other"));
    expect((await list()).map(({ name }) => name)).toEqual(["beta"]);
    await succeed(tool.run("use", "local"));
    expect(await succeed(tool.run("use"))).toBe("local");
    rmSync(path.join(checkout.dir, "Pulumi.other.yaml"));
  });

  test("the doctor names a stopped network and pool, and starts them", async () => {
    await virsh.run("net-destroy", "project-vms");
    await virsh.run("pool-destroy", "project-alpha");
    await virsh.run("pool-destroy", "project-vms-base");
    await refuse(
      tool.run("start", "alpha"),
      "alpha was not started.",
      expect.stringMatching(
        /^ {2}- project-alpha: must be able to start on \S+ \(.*network 'project-vms' is not active\)$/,
      ),
      "    see what is wrong with its host, and have mended what can be: project-vm doctor --fix --stack local",
    );
    // It was started for a look at its files: the mark of a restore could be among them.
    await virsh.run("pool-destroy", "project-alpha");
    const sick = await doctor();
    expect(sick.exitCode).toBe(1);
    const failed = sick.findings.filter(({ level }) => level === "failure");
    expect(failed.map(({ check, fix }) => [check, fix])).toEqual([
      ["network", "possible"],
      ["pools", "possible"],
      ["pools", "possible"],
    ]);
    // A cache of its own: on a machine with several checkouts nothing of the others is ended.
    const env = { XDG_CACHE_HOME: path.join(checkout.dir, ".local/cache") };
    const { stdout } = await execa(bin, ["doctor", "--fix", "--json"], { cwd: checkout.dir, reject: false, env });
    const mended = (JSON.parse(stdout) as Finding[]).filter(({ fix }) => fix === "fixed");
    expect(mended.map(({ check }) => check)).toEqual(["network", "pools", "pools"]);
    expect((await doctor()).exitCode).toBe(0);
  });

  test("a VM that was removed with virsh is told so, and a preview with a refresh succeeds", async () => {
    await virsh.run("undefine", "project-alpha");
    expect(await stateOf("alpha")).toBe("missing");
    await refuse(
      tool.run("start", "alpha"),
      expect.stringContaining("but its domain was removed there by other means than this stack's updates"),
      "    recreate it, on its kept project disk: project-vm apply --stack local, or pulumi up -s local",
    );
    await succeed(checkout.pulumi("preview", "--refresh"));
  });

  test("a host that does not answer is named, with the remedy", async () => {
    writeFileSync(
      path.join(checkout.dir, "Pulumi.away.yaml"),
      'config:\n  project-vms:host: {uri: "qemu+unix:///system?socket=/nowhere"}\n',
    );
    const alone = await tool.run("list", "--stack", "away");
    expect([alone.exitCode, alone.stdout]).toEqual([1, ""]);
    expect(alone.stderr).toMatch(/^The libvirt host qemu.*socket=\/nowhere does not answer\./m);
    const { exitCode, stdout, stderr } = await tool.run("list", "--all-stacks");
    expect(exitCode).toBe(1);
    expect(stdout).toContain("alpha");
    expect(stderr).toContain("does not answer.");
  });
});
