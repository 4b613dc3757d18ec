import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clearLeftovers, killHost } from "../../../src/embedded-host/embedded-process.ts";
import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";
import {
  findProcesses,
  guestProcesses,
  insideName,
  isHostProcess,
  mayHaveGuest,
  type ProcessLook,
} from "../../../src/libvirt/embedded-look.ts";

const hostIn = (dir: string): EmbeddedHost => ({
  checkout: dir,
  dir,
  uri: "",
  storageDir: `${dir}/vms`,
  netns: `${dir}/run/netns`,
});

describe("a process is the host's", () => {
  const host = hostIn("/var/lib/project-vms/vms-f6e2ecc4");
  const said = ["sh", `/a/checkout/host/${insideName}`, host.dir, "emulated"];
  const launched = ["unshare", "--mount", "--propagation", "slave", `--net=${host.netns}`, "--pid", "--fork"];
  const outside: ProcessLook = {
    pid: 4710,
    pids: [4710],
    parent: undefined,
    words: [...launched, "--kill-child", ...said],
    users: [0, 0, 0, 0],
    isAdmin: true,
    executable: "/usr/bin/unshare",
    netns: 42,
  };
  const inside: ProcessLook = {
    ...outside,
    words: said,
    pid: 4711,
    pids: [4711, 1],
    parent: outside,
    executable: "/usr/bin/dash",
  };
  const unseen = { executable: undefined, netns: undefined };
  const unreadable: ProcessLook = { ...inside, ...unseen, parent: { ...outside, ...unseen } };

  test.each<[string, ProcessLook, number | undefined]>([
    ["its first one", inside, 42],
    ["its first one, on KVM", { ...inside, words: [...said.slice(0, 3), "kvm"] }, 42],
    [
      "its first one, of another checkout's script",
      { ...inside, words: ["sh", `/old/${insideName}`, ...said.slice(2)] },
      42,
    ],
    ["its first one, whose shell was upgraded meanwhile", { ...inside, executable: "/usr/bin/bash" }, 42],
    ["its unshare", outside, 42],
    ["both, while the network namespace's file is not mounted: a start that was interrupted", outside, undefined],
    ["both, with the mount taken away under it", inside, undefined],
    ["for another user than root, who cannot see more", unreadable, 42],
  ])("%s", (_name, look, netns) => expect(isHostProcess(host, look, netns)).toBe(true));

  test.each<[string, Partial<ProcessLook>]>([
    ["another user's, with the right words", { users: [65534, 65534, 65534, 65534] }],
    ["a setuid program's, that another user gave the right words", { users: [1000, 0, 0, 0] }],
    ["one that has ended", { users: [] }],
    ["one in another network namespace", { netns: 43 }],
    ["one that is not the first of its PID namespace", { pids: [4711, 2] }],
    ["another host's", { words: ["sh", `/a/${insideName}`, `${host.dir}0`, "emulated"] }],
    ["an editor's", { words: ["vi", `/a/${insideName}`, host.dir, "emulated"] }],
    ["a search's", { words: ["grep", "-r", "sh", `/a/${insideName}`, host.dir, "emulated"] }],
    ["a shell's that has the words in one", { words: ["sh", "-c", said.join(" ")] }],
    ["one with more words", { words: [...said, "more"] }],
    ["a program that calls itself unshare", { words: outside.words, executable: "/usr/bin/passwd" }],
    ["an unshare of another namespace", { ...outside, words: ["unshare", "--net=/run/other", ...said] }],
  ])("not %s", (_name, change) => expect(isHostProcess(host, { ...inside, ...change }, 42)).toBe(false));

  // In a container its root has any words that it likes, PID 1, and programs of any name.
  test.each<[string, ProcessLook]>([
    ["the first process of a container", { ...inside, parent: undefined }],
    ["the first process of a container's container", { ...inside, parent: { ...outside, pids: [4710, 7] } }],
    ["a container's unshare", { ...outside, pids: [4710, 7] }],
    ["one of a container with this machine's PIDs, which may unshare nothing", { ...outside, isAdmin: false }],
    ["nor what that one started", { ...inside, parent: { ...outside, isAdmin: false } }],
  ])("not %s, where the host's network namespace is not known", (_name, look) =>
    expect(isHostProcess(host, look, undefined)).toBe(false),
  );
});

describe("on this machine", () => {
  let dir: string;
  let host: EmbeddedHost;
  let started: ChildProcess[];

  beforeEach(async () => {
    // Where any user may look.
    dir = await mkdtemp("/tmp/embedded-look-");
    await chmod(dir, 0o755);
    host = hostIn(dir);
    started = [];
    await mkdir(path.join(dir, "run"));
    await writeFile(host.netns, "");
    // Waits for ever, and starts nothing that could outlive it.
    await execa("mkfifo", ["-m", "644", path.join(dir, "run/pipe")]);
    await writeFile(path.join(dir, insideName), 'read -r _ <"$1/run/pipe"\n');
  });
  afterEach(async () => {
    for (const { pid } of started) if (pid) tryKill(pid);
    await clearLeftovers(host);
    await rm(dir, { recursive: true, force: true });
  });

  const inside = () => ["sh", path.join(dir, insideName), dir, "emulated"];
  const start = (program: string, ...args: string[]) => {
    const child = spawn(program, args, { stdio: "ignore" });
    started.push(child);
    return child;
  };
  const startHost = async () => {
    const namespaces = ["--mount", "--propagation", "slave", `--net=${host.netns}`, "--pid", "--fork", "--kill-child"];
    const { pid } = start("unshare", ...namespaces, ...inside());
    await expect.poll(() => findProcesses(host).length).toBe(2);
    // What unshare starts is told by unshare's own words first, and by none at the moment at which it becomes the shell.
    const isShell = async (one: number) => (await commandLine(one)).startsWith("sh ");
    await expect.poll(async () => (await Promise.all(findProcesses(host).map(isShell))).filter(Boolean).length).toBe(1);
    return pid;
  };
  /** Those that say what a host's processes say, and are none. */
  const startOthers = async () => {
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    const others = [
      start("setpriv", ...nobody, ...inside()),
      start(
        "setpriv",
        ...nobody,
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
        ...inside(),
      ),
      start("sh", ...inside().slice(1)),
      start("tail", "-f", ...inside().slice(1, 2), dir),
      ...["--pid --fork --kill-child --net", "--net"].map((own) =>
        start("unshare", ...own.split(" "), "setpriv", "--bounding-set=-all", "--inh-caps=-all", ...inside()),
      ),
    ];
    const isUp = async ({ pid }: ChildProcess) => (await commandLine(pid)).includes(insideName);
    await expect.poll(async () => (await Promise.all(others.map(isUp))).every(Boolean)).toBe(true);
    return others;
  };

  test("words alone make no host", async () => {
    await startOthers();
    expect(findProcesses(host)).toEqual([]);
  });

  test("a host's own two are found, and killed, and nothing else", async () => {
    const others = await startOthers();
    const unshare = await startHost();
    const elsewhere = start("unshare", "--net", "--pid", "--fork", "--kill-child", ...inside());
    await expect
      .poll(async () => (await execa("pgrep", ["-P", String(elsewhere.pid)], { reject: false })).exitCode)
      .toBe(0);
    expect(findProcesses(host)).toHaveLength(2);
    expect(findProcesses(host)).toContain(unshare);
    await killHost(host);
    expect(findProcesses(host)).toEqual([]);
    const alive = [...others, elsewhere].map(({ exitCode, signalCode }) => ({
      exitCode,
      signalCode,
    }));
    expect(alive).toEqual(alive.map(() => ({ exitCode: null, signalCode: null })));
  });

  test("a guest may run where there is a QEMU of libvirt's in its PID namespace, and not for one elsewhere", async () => {
    expect(mayHaveGuest(host)).toBe(false);
    const unshare = await startHost();
    const [first = 0] = findProcesses(host).filter((pid) => pid !== unshare);
    const guest = [
      "sh",
      "-c",
      'read -r _ <"$0"',
      path.join(dir, "run/pipe"),
      "guest=project-app,,old,debug-threads=on",
    ];
    const isUp = async ({ pid }: ChildProcess) => (await commandLine(pid)).startsWith("sh");
    const elsewhere = start(guest[0] as string, ...guest.slice(1));
    await expect.poll(() => isUp(elsewhere)).toBe(true);
    expect(mayHaveGuest(host)).toBe(false);
    expect(guestProcesses(host)).toEqual([]);
    const entered = start("nsenter", "--target", String(first), "--pid", ...guest);
    await expect.poll(() => mayHaveGuest(host)).toBe(true);
    const [{ pid: own = 0, domain = "" } = {}, ...more] = guestProcesses(host);
    expect([domain, more]).toEqual(["project-app,old", []]);
    // nsenter forks where it enters a PID namespace: what is told is the one in it, by this machine's number.
    expect(own).not.toBe(entered.pid);
    expect(await commandLine(own)).toContain("guest=project-app,,old");
    await killHost(host);
    expect(mayHaveGuest(host)).toBe(false);
  });

  test("one whose namespace's mount was taken away is still found", async () => {
    const unshare = await startHost();
    await execa("umount", [host.netns]);
    expect(findProcesses(host)).toHaveLength(2);
    expect(findProcesses(host)).toContain(unshare);
    await killHost(host);
  });
});

async function commandLine(pid: number | undefined): Promise<string> {
  const { stdout } = await execa("ps", ["-o", "args=", "-p", String(pid)], { reject: false });
  return stdout;
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
