import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { cacheFolder } from "../../toolchain/ensure/places.ts";
import { Checkout } from "./support/checkout.ts";

const checkout = new Checkout("engine-verbs");
const { dir, host, virsh } = checkout;
const bin = path.resolve("bin/project-vm");
const file = path.join(dir, "Pulumi.local.yaml");
const disk = (project: string) => path.join(host.storageDir, project, "project.qcow2");
const domains = async () => (await virsh.run("list", "--all", "--name")).split("\n").filter(Boolean).sort();
const text = () => readFileSync(file, "utf8");

/** As in a shell in which nothing was set up. */
const others = (process.env.PATH ?? "").split(":").filter((folder) => !folder.startsWith(cacheFolder()));
const env = {
  ...process.env,
  PATH: others.join(":"),
  PULUMI_HOME: undefined,
  PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
};
const run = (...args: string[]) => execa(bin, args, { cwd: dir, env, extendEnv: false, all: true, reject: false });

async function succeed(...args: string[]) {
  const result = await run(...args);
  expect(result.exitCode, result.all).toBe(0);
  return result;
}

/** Where Pulumi keeps the locks of updates. */
const lockFolder = path.join(dir, ".local/state/.pulumi/locks/organization/project-vms/local");
const locks = () => (existsSync(lockFolder) ? readdirSync(lockFolder) : []);

/** No lock of an update may stay, nor anything of a change. */
function expectUnlocked(): void {
  expect(locks()).toEqual([]);
  expect(readdirSync(path.join(dir, ".local")).filter((entry) => /trial|change/.test(entry))).toEqual([]);
  expect(readdirSync(dir).filter((entry) => entry.includes("partial"))).toEqual([]);
}

beforeAll(async () => {
  await checkout.create({ running: false });
  writeFileSync(
    file,
    `# of this test
config:
    project-vms:defaults: {memory: 256 MiB, cpus: 1,  disk: 64 MiB, rootDisk: 8 GiB}   # small
`,
  );
});
afterAll(() => checkout.remove());

describe("create", () => {
  test("makes host, state, entry and VM, with nothing set up before", async () => {
    const { stdout, stderr } = await succeed("create", "alpha", "300", "1", "64M", "--yes");
    expect(stdout).toMatch(/^MADE alpha {2}ssh -F \S+ project-alpha$/);
    expect(stderr).toContain("alpha: new VM, new project disk of 64 MiB");
    expect(stderr).not.toMatch(/pulumi:|libvirt:index|Resources:/);
    expect(text()).toMatch(
      /disk: 64 MiB, rootDisk: 8 GiB\} {3}# small\n {4}project-vms:projects:\n {6}alpha: \{ memory: 300 MiB, cpus: 1, disk: 64 MiB \}\nencryptionsalt: \S+\n$/,
    );
    expect(await domains()).toEqual(["project-alpha"]);
    const plan = await succeed("plan", "--json");
    expect(JSON.parse(plan.stdout)).toEqual({ stack: "local", changes: [], resources: 0 });
    expect(JSON.parse((await succeed("output", "alpha", "--json")).stdout)).toMatchObject({ name: "alpha" });
    expect((await succeed("output", "alpha")).stdout).toMatch(/^name: alpha$/m);
    expectUnlocked();
  });

  test.each([
    ["a VM that is there", ["alpha"], "projects.alpha: is there already"],
    ["more than the host has", ["big", "999999 GiB"], "projects.big.memory: must be at most"],
    ["nobody to ask", ["beta"], "--yes: must be given where there is nobody to ask"],
  ])("of %s fails and leaves the file as it was", async (_, args, said) => {
    const before = text();
    const { exitCode, all } = await run("create", ...args);
    expect([exitCode, all]).toEqual([1, expect.stringContaining(said)]);
    expect(text()).toBe(before);
    expectUnlocked();
  });

  test("while somebody else's update goes on fails, says who it is, and leaves the file as it was", async () => {
    const before = text();
    const other = path.join(dir, ".local/pulumi");
    copyFileSync("/bin/sleep", other);
    const engine = spawn(other, ["60"]);
    mkdirSync(lockFolder, { recursive: true });
    const lock = { pid: engine.pid, username: "me", hostname: hostname(), timestamp: "2026-11-21T10:00:00Z" };
    const lockFile = path.join(lockFolder, `${randomUUID()}.json`);
    writeFileSync(lockFile, JSON.stringify(lock));
    const { exitCode, all } = await run("create", "beta", "--yes");
    rmSync(lockFile);
    engine.kill();
    const said = `is locked by process ${engine.pid} of me@${hostname()}, since 2026-11-21T10:00:00Z`;
    expect([exitCode, all]).toEqual([1, expect.stringContaining(said)]);
    expect(text()).toBe(before);
    expectUnlocked();
  });

  test("two at once both end right, one after the other", async () => {
    const both = await Promise.all([succeed("create", "beta", "--yes"), succeed("create", "gamma", "--yes")]);
    expect(both.map(({ stderr }) => stderr).join()).toContain("waiting for another process");
    expect(await domains()).toEqual(["project-alpha", "project-beta", "project-gamma"]);
    expect(text()).toMatch(/^ {6}beta: \{\}$/m);
    expect(text()).toMatch(/^ {6}gamma: \{\}$/m);
  });
});

/** Ctrl-C in a terminal reaches all of the foreground group. The second one comes as soon as the first was heard. */
async function interrupted(isTime: (said: string) => boolean, times: number, ...args: string[]) {
  const child = spawn(bin, args, { cwd: dir, env, detached: true, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  let pressed = 0;
  child.stderr.on("data", (data) => {
    said += data;
  });
  const timer = setInterval(() => {
    const isNow = pressed === 0 ? isTime(said) : said.includes("once more kills it");
    if (pressed === times || !isNow) return;
    pressed++;
    process.kill(-(child.pid as number), "SIGINT");
  }, 10);
  const exitCode = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(timer);
  return { exitCode, said, pressed };
}

describe("Ctrl-C", () => {
  const resize = (memory: number) => ["resize", "alpha", "--memory", String(memory), "--yes"] as const;
  const isWhole = () =>
    expect(text()).toMatch(/^# of this test\n[\s\S]*\n {6}gamma: \{\}\n[\s\S]*encryptionsalt: \S+\n$/);

  test("while it is looked at what would change leaves all as it was", async () => {
    const before = text();
    const { exitCode, said } = await interrupted(
      (said) => said.includes("looking at what would change"),
      1,
      ...resize(310),
    );
    expect([exitCode, said]).toEqual([1, expect.stringContaining("Interrupted. Nothing was changed.")]);
    expect(text()).toBe(before);
    expectUnlocked();
  });

  /** An update has had its lock for so long, in milliseconds: at first it does not mind interrupts yet. */
  function lockedFor(wanted: number): () => boolean {
    let since: number | undefined;
    return () => {
      if (locks().length > 0) since ??= Date.now();
      return since !== undefined && Date.now() - since >= wanted;
    };
  }

  test.each([
    ["as an update begins", 0, 320],
    ["in the middle of an update", 1500, 325],
  ])("%s lets the engine end in order, and the next command goes on from there", async (_, after, memory) => {
    const { exitCode, said } = await interrupted(lockedFor(after), 1, ...resize(memory));
    expect([exitCode, said]).toEqual([1, expect.stringContaining("goes on from here")]);
    expectUnlocked();
    isWhole();
    await succeed("apply", "--yes");
    expect(await virsh.run("dominfo", "project-alpha")).toContain(`${memory * 1024} KiB`);
  });

  test.each([
    ["the next command", ["apply", "--yes"], 330],
    ["the doctor", ["doctor", "--fix"], 335],
  ])("twice kills it; %s releases its lock", async (_, next, memory) => {
    const { exitCode, said, pressed } = await interrupted(lockedFor(1500), 2, ...resize(memory));
    expect([exitCode, pressed, said]).toEqual([1, 2, expect.stringContaining("killed: what it was doing")]);
    isWhole();
    expect((await run("doctor")).all).toMatch(/^failure {2}lock: an update that was killed left its lock behind/m);
    const { stderr } = await succeed(...next);
    expect(stderr).toContain("releasing the lock of an update that did not finish");
    expectUnlocked();
    expect((await succeed("apply", "--yes")).all).not.toContain("pending operations");
    expect((await checkout.pulumi("stack", "export")).all).not.toContain("pending_operations");
    expect(await virsh.run("dominfo", "project-alpha")).toContain(`${memory * 1024} KiB`);
  });
});

/** Runs a verb in a pseudo-terminal, and types each answer when its question is there. */
async function typed(args: string, answers: [question: string, answer: string][]) {
  // One of no size has clack break the line after each letter.
  const command = `stty cols 120 rows 40; exec '${bin}' ${args}`;
  const terminal = execa("script", ["-qec", command, "/dev/null"], {
    ...{ cwd: dir, env, extendEnv: false, reject: false },
    timeout: 5 * 60_000,
  });
  const left = [...answers];
  let said = "";
  terminal.stdout.on("data", (data) => {
    said += data;
    const [question, answer] = left[0] ?? [];
    if (question === undefined || !said.includes(question)) return;
    said = "";
    left.shift();
    // What is typed while a question is still being drawn belongs to nobody.
    setTimeout(() => terminal.stdin.write(answer as string), 300);
  });
  const { exitCode, stdout } = await terminal;
  return { exitCode, left, stdout };
}

describe("in a terminal", () => {
  let before: string;
  beforeEach(() => {
    before = text();
  });

  test.each([
    ["no", "n"],
    ["Ctrl-C", "\u0003"],
  ])("%s on the question leaves all as it was", async (_, answer) => {
    const { exitCode, left, stdout } = await typed("create delta", [["Do it?", answer]]);
    expect([exitCode, left, stdout]).toEqual([1, [], expect.stringContaining("Nothing was changed.")]);
    expect(text()).toBe(before);
    expectUnlocked();
  });

  test("Ctrl-C on any step of `new` ends it there", async () => {
    const { exitCode, left, stdout } = await typed("new", [["Name of the project", "\u0003"]]);
    expect([exitCode, left, stdout]).toEqual([1, [], expect.stringContaining("Nothing was changed.")]);
    expect(stdout).not.toContain("Memory");
    expect(text()).toBe(before);
  });

  test("`new` asks in steps, says what is wrong at once, and makes what was asked for", async () => {
    const { exitCode, left, stdout } = await typed("new", [
      ["Name of the project", "Delta\r"],
      ["write `delta`", "\u0015delta\r"],
      ["Memory", "260\r"],
      ["CPUs", "\r"],
      ["Project disk", "\r"],
      ["Do it?", "y"],
    ]);
    expect([exitCode, left], stdout).toEqual([0, []]);
    expect(text()).toBe(before.replace("\nencryptionsalt", "\n      delta: { memory: 260 MiB }\nencryptionsalt"));
    expect(await domains()).toContain("project-delta");
  });

  test("destroy has the name typed, and keeps the data", async () => {
    const wrong = await typed("destroy delta", [["Type delta", "delt\r"]]);
    expect([wrong.exitCode, wrong.left]).toEqual([1, []]);
    expect(text()).toBe(before);
    const { exitCode, left, stdout } = await typed("destroy delta", [["Type delta", "delta\r"]]);
    expect([exitCode, left], stdout).toEqual([0, []]);
    expect(stdout).toContain(`delta: VM removed, data kept: ${disk("delta")}`);
    expect(text()).toBe(before.replace(/ {6}delta.*\n/, ""));
    expect(await domains()).not.toContain("project-delta");
    expect(existsSync(disk("delta"))).toBe(true);
  });

  test("purge leaves a disk alone that another stack on the same host has a project for", async () => {
    const other = path.join(dir, "Pulumi.other.yaml");
    const settings = JSON.stringify({ uri: host.uri, storageDir: host.storageDir });
    writeFileSync(other, `config:\n  project-vms:host: ${settings}\n  project-vms:projects: { delta: {} }\n`);
    const { exitCode, all } = await run("purge", "delta", "--yes");
    rmSync(other);
    const rule = "Pulumi.other.yaml: projects.delta: must not be there: the disk of a project is kept for it";
    expect([exitCode, all]).toEqual([1, expect.stringContaining(rule)]);
    expect(existsSync(disk("delta"))).toBe(true);
  });

  test("purge says what goes for good, and has the name typed too", async () => {
    const wrong = await typed("purge delta", [["Type delta", "beta\r"]]);
    expect([wrong.exitCode, wrong.left, existsSync(disk("delta"))], wrong.stdout).toEqual([1, [], true]);
    expect(wrong.stdout).toContain("This removes, for good:");
    expect(wrong.stdout).toContain(disk("delta"));
    const broken = await typed("purge delta", [["Type delta", "\u0003"]]);
    expect([broken.exitCode, broken.left, existsSync(disk("delta"))], broken.stdout).toEqual([1, [], true]);
    const { exitCode, left, stdout } = await typed("purge delta", [["Type delta", "delta\r"]]);
    expect([exitCode, left], stdout).toEqual([0, []]);
    expect(existsSync(path.dirname(disk("delta")))).toBe(false);
  });
});

describe("changes", () => {
  test("a VM that was removed behind our back is said, and made again", async () => {
    await virsh.run("undefine", "project-beta");
    expect((await succeed("plan")).stdout).toContain("beta: new VM, adopts its kept project disk");
    await succeed("create", "beta", "--yes");
    expect(await domains()).toContain("project-beta");
    expect((await succeed("plan")).stdout).toBe("nothing changes");
  });

  test("a VM that is half made is told so; it is finished, and removed also when somebody else did it", async () => {
    const hasDisk = () => existsSync(disk("omega"));
    const { said, pressed } = await interrupted(hasDisk, 2, "create", "omega", "--yes");
    expect([pressed, said]).toEqual([2, expect.stringContaining("killed: what it was doing")]);
    for (const verb of ["status", "start"]) {
      const { exitCode, all } = await run(verb, "omega");
      expect([exitCode, all]).toEqual([
        1,
        expect.stringContaining("omega: must have been made, but is only in the config"),
      ]);
    }
    const { stdout, stderr } = await succeed("create", "omega", "--yes");
    expect(stderr).toContain("omega is in Pulumi.local.yaml already and not finished: going on with it");
    expect(stdout).toMatch(/^MADE omega {2}/);
    const { stdout: left } = await succeed("plan");
    if (left !== "nothing changes") console.error((await checkout.pulumi("preview", "--diff", "--color", "never")).all);
    expect(left).toBe("nothing changes");
    await virsh.run("undefine", "project-omega");
    await succeed("destroy", "omega", "--yes");
    expect((await succeed("plan")).stdout).toBe("nothing changes");
    expect(existsSync(disk("omega"))).toBe(true);
    const { exitCode, all } = await run("status", "omega");
    expect([exitCode, all]).toEqual([1, expect.stringContaining("project-vm create omega --stack local")]);
  });

  test("a state that was cut off is named with the way out, without a trace, and nothing is begun", async () => {
    const state = path.join(dir, ".local/state/.pulumi/stacks/project-vms/local.json");
    const [before, entries] = [readFileSync(state), text()];
    writeFileSync(state, "{");
    try {
      for (const args of [["output"], ["plan"], ["resize", "alpha", "--memory", "340", "--yes"]]) {
        const { exitCode, stderr } = await run(...args);
        expect([exitCode, stderr]).toEqual([
          1,
          expect.stringContaining("Nothing was changed: the state of the stack local cannot be read.\n"),
        ]);
        expect(stderr).toContain(`  - ${state}: `);
        expect(stderr).toContain("`project-vm doctor --fix --stack local` puts there its newest whole copy");
        expect(stderr).not.toMatch(/^\s+at /m);
      }
      const { stdout, stderr } = await run("doctor", "--fix", "--stack", "local");
      expect(`${stdout}${stderr}`).toContain(`${state} is what `);
      expect(readFileSync(`${state}.unreadable`, "utf8")).toBe("{");
      expect(() => JSON.parse(readFileSync(state, "utf8"))).not.toThrow();
    } finally {
      writeFileSync(state, before);
      rmSync(`${state}.unreadable`, { force: true });
    }
    expect(text()).toBe(entries);
    expectUnlocked();
    expect((await succeed("plan")).stdout).toBe("nothing changes");
  });

  test("resize and rebuild change what they say, and the entry", async () => {
    const grows = "beta: stays shut off, project disk grows from 64 MiB to 128 MiB, data kept";
    expect((await succeed("resize", "beta", "--disk", "128M", "--dry-run")).stdout).toBe(grows);
    const { stdout } = await succeed("resize", "beta", "--disk", "128M", "--yes", "--json");
    const report = { stack: "local", changes: [grows], resources: expect.any(Number), done: true, projects: [] };
    expect(JSON.parse(stdout)).toEqual(report);
    const { stderr } = await succeed("rebuild", "beta", "--yes");
    expect(stderr).toContain("beta: stays shut off, root disk recreated, data kept");
    expect(text()).toMatch(/^ {6}beta: \{ disk: 128 MiB, rebuild: on \S+Z \}$/m);
  });

  test("goes on to its end when nobody reads what it says any more", async () => {
    const command = `'${bin}' resize alpha --memory 345 --yes 2> >(head -n 1 >/dev/null)`;
    const { exitCode } = await execa("bash", ["-c", command], { cwd: dir, env, extendEnv: false, reject: false });
    expect(exitCode).toBe(0);
    expect(await virsh.run("dominfo", "project-alpha")).toContain(`${345 * 1024} KiB`);
    expectUnlocked();
  });

  test("a VM that is complete is not created again, whatever else is to be done", async () => {
    const before = text();
    writeFileSync(file, before.replace("gamma: {}", "gamma: { cpus: 2 }"));
    const { exitCode, all } = await run("create", "alpha", "--yes");
    expect([exitCode, all]).toEqual([1, expect.stringContaining("projects.alpha: is there already")]);
    writeFileSync(file, before);
  });

  test("destroy --purge removes the disk too, also of a VM that was never made, or whose config is not applied", async () => {
    const before = text();
    writeFileSync(file, before.replace(/ {6}beta: /, "      never: {}\n$&"));
    await succeed("destroy", "never", "--purge", "--yes");
    expect(text()).toBe(before);
    writeFileSync(file, before.replace("beta: {", "beta: { keepData: false,"));
    await succeed("destroy", "beta", "--purge", "--yes");
    expect(existsSync(path.dirname(disk("beta")))).toBe(false);
  });

  test("destroy --keep-data keeps a disk that was to go, also when only the file has another word by now", async () => {
    writeFileSync(file, text().replace("gamma: {}", "gamma: { keepData: false }"));
    await succeed("apply", "--yes");
    writeFileSync(file, text().replace("gamma: { keepData: false }", "gamma: {}"));
    const { stdout } = await succeed("destroy", "gamma", "--keep-data", "--yes", "--json");
    const { changes, resources, done } = JSON.parse(stdout);
    const fact = "gamma: VM removed, data kept (--keep-data)";
    expect([changes, done, resources > 0]).toEqual([[fact], true, true]);
    expect(existsSync(disk("gamma"))).toBe(true);
    expect(await domains()).toEqual(["project-alpha"]);
  });
});
