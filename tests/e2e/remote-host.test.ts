import { cpSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startEmbeddedHost } from "../../src/embedded-host/embedded.ts";
import { ensureImage } from "../../src/images/image.ts";
import { parseVolume } from "../../src/libvirt/libvirt-xml.ts";
import { checkoutsFolder } from "../setup/places.ts";
import { Checkout } from "./support/checkout.ts";
import { expectSuccess } from "./support/expect-success.ts";
import { makeKey, RemoteHost } from "./support/remote-host.ts";
import { NamedStack } from "./support/remote-stack.ts";
import { type Ran, Workstation } from "./support/remote-workstation.ts";

const uri = "qemu+ssh://root@storage/system";
const checkout = new Checkout("remote-host");
const { host, virsh } = checkout;
const folder = (name: string) => path.join(checkoutsFolder(), `remote-host-${name}`);
/** Where keys are that no ssh looks for by itself. */
const keyFile = path.join(folder("workstation"), "key");
/** One that is let in nowhere. */
const strangeKey = path.join(folder("workstation"), "strange");
const defaults = { memory: "1 GiB", cpus: 1, disk: "1 GiB", rootDisk: "12 GiB" };
let workstation: Workstation;
let remote: RemoteHost;
let stack: NamedStack;

const configure = (projects: Record<string, unknown>, at = uri) =>
  stack.configure({ host: { uri: at, storageDir: host.storageDir }, defaults, projects });
const up = (...args: string[]) => stack.pulumi("up", "--yes", "--skip-preview", ...args);

/** Domains, pools, networks and files of the host, asked on the spot. */
async function whatIsThere() {
  const lists = ["list", "pool-list", "net-list"];
  const answers = await Promise.all(lists.map((list) => virsh.run(list, "--all", "--uuid")));
  return [...answers, ...readdirSync(host.storageDir, { recursive: true, encoding: "utf8" })].sort();
}

/** How this workstation knows the host, and by which key it logs in. */
function trust({ knownHosts = remote.knownAs("storage"), key = keyFile, as = "id_ed25519", config = "" } = {}): void {
  workstation.clearSsh();
  workstation.writeSsh("known_hosts", knownHosts);
  if (config) workstation.writeSsh("config", config);
  for (const end of ["", ".pub"]) cpSync(`${key}${end}`, workstation.ssh(`${as}${end}`));
}

beforeAll(async () => {
  await checkout.create({ running: false });
  await startEmbeddedHost(host, () => undefined);
  // Here, for a workstation cannot fetch what a build needs.
  await ensureImage({ kind: "build" }, console.error);
  workstation = await Workstation.start(folder("workstation"));
  remote = await RemoteHost.start(host, folder("sshd"), workstation);
  await remote.makeLogin(keyFile);
  await makeKey(strangeKey, "ed25519");
  trust();
  stack = new NamedStack(checkout, "storage", workstation);
  await stack.init({});
  configure({ alpha: {}, beta: {} });
}, 30 * 60_000);
afterAll(async () => {
  await remote?.remove();
  await workstation?.remove();
  await checkout.remove();
});
beforeEach(() => trust());

describe("a stack on a host elsewhere", () => {
  test("a preview looks at it and makes nothing", async () => {
    const before = await whatIsThere();
    expect(expectSuccess(await stack.pulumi("preview"))).toContain("alpha: new VM, new project disk of 1 GiB");
    expect(await whatIsThere()).toEqual(before);
  });

  test("an up makes the VMs there, and puts the base image there", async () => {
    expectSuccess(await up());
    expect((await virsh.run("desc", "project-alpha")).trim()).toBe("project-vms stack storage");
    const files = await whatIsThere();
    expect(files).toEqual(expect.arrayContaining(["alpha/project.qcow2", "beta/disk.qcow2", "beta/seed.iso"]));
    expect(files.find((file) => /^base\/debian-testing-[0-9a-f]{12}\.qcow2\.sha512$/.test(file))).toBeDefined();
  });

  test("a second up changes nothing, also after a refresh", async () => {
    expectSuccess(await up("--expect-no-changes"));
    expectSuccess(await up("--refresh", "--expect-no-changes"));
  });

  test("disks grow in place", async () => {
    configure({ alpha: { disk: "2 GiB" }, beta: {} });
    const line = "alpha: stays shut off, project disk grows from 1 GiB to 2 GiB, data kept";
    expect(expectSuccess(await up())).toContain(line);
    const volume = parseVolume(await virsh.run("vol-dumpxml", "project.qcow2", "--pool", "project-alpha"));
    expect(volume.capacity).toBe(2 * 1024 ** 3);
  });

  test("an entry that goes takes its VM along, and comes back to its disk", async () => {
    configure({ alpha: { disk: "2 GiB" } });
    expect(expectSuccess(await up())).toContain("beta: VM removed, data kept");
    expect(readdirSync(path.join(host.storageDir, "beta"))).toEqual(["project.qcow2"]);
    configure({ alpha: { disk: "2 GiB" }, beta: {} });
    expect(expectSuccess(await up())).toContain("beta: new VM, adopts its kept project disk");
    expectSuccess(await up("--expect-no-changes"));
  });
});

describe("virsh and the provider both log in", () => {
  const previewAt = (parameters: string, variables: Record<string, string> = {}, at = uri) => {
    configure({ alpha: { disk: "2 GiB" }, beta: {} }, `${at}${parameters}`);
    return stack.run(variables, "preview");
  };

  test("by a port and a key file that the URI names, as Pulumi.raider.yaml has it", async () => {
    trust({ as: "unusual", knownHosts: remote.knownAs("[storage]:2222") });
    const parameters = `?keyfile=${workstation.ssh("unusual")}&sshauth=privkey`;
    expectSuccess(await previewAt(parameters, {}, "qemu+ssh://root@storage:2222/system"));
  });

  test("by a key of an agent that is in no file", async () => {
    trust({ key: strangeKey });
    expectSuccess(await previewAt("", await workstation.startAgent(keyFile)));
  });

  test("by a key file although there is an agent without it, if the URI says so", async () => {
    expectSuccess(await previewAt("?sshauth=privkey", await workstation.startAgent(strangeKey)));
  });

  test("also when so many ask at once that its sshd turns some away", async () => {
    const asking = `import { virshFor } from "./src/libvirt/virsh.ts";
      const asked = Array.from({ length: 16 }, () => virshFor("${uri}").run("domstate", "project-alpha"));
      console.log((await Promise.all(asked)).join("").replaceAll("shut off", "."));`;
    const command = ["node", "--import", "tsx/esm", "--input-type=module", "--eval", asking];
    expect(expectSuccess(await workstation.run(command, { cwd: checkout.dir }))).toBe(".".repeat(16));
  });

  test("by what ~/.ssh/config says of the host", async () => {
    const config = "Host storage\n  HostName 192.0.2.2\n  IdentityFile ~/.ssh/unusual\n";
    trust({ as: "unusual", config, knownHosts: remote.knownAs("192.0.2.2") });
    expectSuccess(await previewAt(""));
  });
});

/** An update is refused within seconds, and neither the host nor the state is changed; gives what was said. */
async function refusal(update: () => Promise<Ran> = up): Promise<string> {
  configure({ alpha: { disk: "2 GiB", memory: "2 GiB" }, gamma: {} });
  const before = [await whatIsThere(), await stack.resources()];
  const started = Date.now();
  const { exitCode, all } = await update();
  expect(Date.now() - started).toBeLessThan(30_000);
  expect(exitCode, all).not.toBe(0);
  expect(all).not.toMatch(/^\s+at .*\.(ts|js):\d+/m);
  expect([await whatIsThere(), await stack.resources()]).toEqual(before);
  return all;
}

describe("a log-in that is not safe, or not allowed, is refused, and nothing is changed", () => {
  test("a host whose key nobody has checked", async () => {
    trust({ knownHosts: "" });
    const all = await refusal();
    expect(all).toContain(`The libvirt host ${uri} does not answer.`);
    expect(all).toContain("Log in once by hand and check its key: ssh root@storage");
  });

  test("a host with another key than is known", async () => {
    trust({ knownHosts: remote.knownAs("storage", "another") });
    const all = await refusal();
    expect(all).toContain(`The libvirt host ${uri} does not answer.`);
    expect(all).toContain("Another machine may be answering in its place.");
    expect(all).toContain("ssh-keygen -R 'storage'");
  });

  test("the same when the provider alone comes upon it", async () => {
    const config = `Host *\n  GlobalKnownHostsFile ${workstation.ssh("global")}\n`;
    trust({ knownHosts: remote.knownAs("storage", "another"), config });
    workstation.writeSsh("global", remote.knownAs("storage"));
    expect(await refusal()).toContain("knownhosts: key mismatch");
  });

  test("a key that the host does not know", async () => {
    trust({ key: strangeKey });
    const all = await refusal();
    expect(all).toContain(`The libvirt host ${uri} does not answer.`);
    expect(all).toContain("Permission denied (publickey)");
    expect(all).toContain("ssh-copy-id root@storage");
  });

  test("an agent without keys, by which the provider would not get in", async () => {
    const agent = await workstation.startAgent();
    const all = await refusal(() => stack.run(agent, "up", "--yes", "--skip-preview"));
    expect(all).toContain(`The libvirt host ${uri} does not let the provider in.`);
    expect(all).toContain(`\`${uri}?sshauth=privkey\``);
  });
});

describe("a host that is down says so in seconds, and nothing is changed", () => {
  test("while nobody listens there", async () => {
    await remote.stop();
    const all = await refusal().finally(() => remote.start());
    expect(all).toContain(`The libvirt host ${uri} does not answer.`);
    expect(all).toContain("Connection refused");
    expect(all).toContain("Is it up? Try: ssh root@storage");
  });

  test("while nothing is heard from it", async () => {
    await remote.silence(true);
    const all = await refusal().finally(() => remote.silence(false));
    expect(all).toContain("no connection within 10 s");
    expect(all).toContain("Is it up? Try: ssh root@storage");
  });

  test("a destroy fails, and leaves the host as it is; later it does its work", async () => {
    configure({ alpha: { disk: "2 GiB" }, beta: {} });
    expectSuccess(await up());
    const before = await whatIsThere();
    await remote.stop();
    const { exitCode, all } = await stack.pulumi("destroy", "--yes", "--skip-preview").finally(() => remote.start());
    expect(exitCode).not.toBe(0);
    expect(all).toContain("Is it up? Try: ssh root@storage");
    expect(await whatIsThere()).toEqual(before);
    expectSuccess(await stack.pulumi("destroy", "--yes", "--skip-preview"));
    const left = await whatIsThere();
    expect(left.filter((entry) => /^(alpha|beta)\//.test(entry))).toEqual([
      "alpha/project.qcow2",
      "beta/project.qcow2",
    ]);
    expect(await virsh.run("net-list", "--all", "--name")).toBe("");
  });
});

describe("a VM that runs there", () => {
  const ssh = (...args: string[]) => workstation.run(["ssh", "-o", "BatchMode=yes", ...args]);
  const config = path.join(checkout.dir, ".local/ssh/storage/config");
  const identity = async (...args: string[]) => expectSuccess(await ssh(...args, "project-alpha", "whoami; hostname"));

  test("is waited for over ssh, and its address and host keys are outputs", async () => {
    cpSync(path.resolve(import.meta.dirname, "../../index.js"), path.join(checkout.dir, "index.js"));
    configure({ alpha: { disk: "2 GiB" } });
    expectSuccess(await up());
    const { stdout } = await stack.pulumi("stack", "output", "projects", "--json");
    expect(JSON.parse(String(stdout)).alpha).toMatchObject({
      state: "running",
      addresses: [expect.stringMatching(/^10\.77\.0\.\d+$/)],
      hostKeys: expect.arrayContaining([expect.stringMatching(/^ssh-ed25519 /)]),
    });
  });

  test("is logged in to by its name, through its host", async () => {
    expect(await identity("-F", config)).toBe("dev\nproject-alpha");
  });

  test("also once the user's own configuration includes the stack's, which the provider reads too", async () => {
    trust({ config: `Include "${path.join(checkout.dir, ".local/ssh/*/config")}"\n` });
    expect(await identity()).toBe("dev\nproject-alpha");
    expectSuccess(await up("--expect-no-changes"));
  });

  test("is not logged in to when its host key is not the known one", async () => {
    trust({ config: `Include "${config}"\n` });
    workstation.writeSsh("swapped", remote.knownAs("project-alpha", "another"));
    const { exitCode, all } = await ssh(
      "-o",
      `UserKnownHostsFile=${workstation.ssh("swapped")}`,
      "project-alpha",
      "true",
    );
    expect(exitCode).not.toBe(0);
    expect(all).toContain("Host key verification failed");
  });

  test("and by a key file that the host's URI names", async () => {
    trust({ as: "unusual" });
    cpSync(`${keyFile}.pub`, workstation.ssh("id_ed25519.pub"));
    configure({ alpha: { disk: "2 GiB" } }, `${uri}?keyfile=${workstation.ssh("unusual")}`);
    expectSuccess(await up());
    expect(await identity("-F", config, "-i", workstation.ssh("unusual"))).toBe("dev\nproject-alpha");
  });

  test("is worked on by project-vm as one on this machine is", async () => {
    const bin = path.resolve(import.meta.dirname, "../../bin/project-vm");
    const vm = (...args: string[]) => workstation.run([bin, "--stack", "storage", ...args], { cwd: checkout.dir });
    // Progress, and what ssh warns of, go to standard error.
    const words = async (...args: string[]) => {
      const ran = await vm(...args);
      expectSuccess(ran);
      return String(ran.stdout);
    };
    const answer = async (...args: string[]) => JSON.parse(await words(...args, "--json"));
    configure({ alpha: { disk: "2 GiB" } });
    expect(await answer("list")).toMatchObject([
      { stack: "storage", name: "alpha", state: "running", addresses: [expect.stringMatching(/^10\.77\.0\.\d+$/)] },
      { name: "beta", state: "kept disk" },
    ]);
    expect(await answer("status", "alpha")).toMatchObject({ state: "running", image: expect.any(String) });
    expect(await words("exec", "alpha", "--", "hostname")).toBe("project-alpha");
    expect(await words("ssh", "alpha", "--", "whoami")).toBe("dev");
    await words("cp", "package.json", "alpha:project/");
    expect(await words("ssh", "alpha", "--", "cat project/package.json")).toContain('"project-vms"');
    expect((await answer("logs", "alpha", "--lines", "3")).lines).toHaveLength(3);
    expect(await answer("snapshot", "create", "alpha", "now")).toMatchObject({ name: "now", diskSize: 2 ** 31 });
    const findings = (await answer("doctor")) as { check: string; level: string; says: string }[];
    const examined = ["libvirt", "network", "pools", "base images", "storage folder", "AppArmor", "state", "lock"];
    // With what it says: a level alone would tell whoever reads a failed run nothing.
    expect(findings.filter(({ check, level }) => examined.includes(check) && level !== "ok")).toEqual([]);
    expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(examined));
    expect(await answer("stop", "alpha")).toMatchObject({ state: "shut off" });
    expect(await answer("start", "alpha")).toMatchObject({ state: "running" });
  });
});
