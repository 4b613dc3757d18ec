import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Stack } from "../../../../src/checkout/stack.ts";
import { parseStackConfig } from "../../../../src/config/parse.ts";
import { domainUuid, macAddress } from "../../../../src/core/names.ts";
import { GiB } from "../../../../src/core/sizes.ts";
import type { BaseImage, ImageUsage } from "../../../../src/images/usage.ts";
import type { Inventory, NetworkFound, PoolFound } from "../../../../src/libvirt/inventory.ts";
import { shellFor } from "../../../../src/libvirt/shell.ts";
import { type Virsh, virshFor } from "../../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../../src/libvirt/virsh-error.ts";
import { examineBackups, judgeBackups } from "../../../../src/operations/doctor/backups.ts";
import { examineAttributes, examineOrphans } from "../../../../src/operations/doctor/engine.ts";
import { failure, isWell, mended, ok, warning } from "../../../../src/operations/doctor/finding.ts";
import { examineHost, examineState } from "../../../../src/operations/doctor/host.ts";
import { examineImages } from "../../../../src/operations/doctor/images.ts";
import type { BackupsFound } from "../../../../src/project-disks/backup-age.ts";
import { aDomain, anInventory, aPool, aVolume, devicesWith } from "../../found.ts";
import { baseImage } from "../../images/samples.ts";

const host = {
  uri: "qemu:///system",
  storageDir: "/vms",
  network: { kind: "managed", name: "project-vms", cidr: "10.77.0.0/24" },
  virtualization: "auto",
} as const;
const projects = '{"webapp":{"memory":"8 GiB","disk":"50 GiB","rootDisk":"20 GiB"}}';
const stack: Stack = {
  name: "storage",
  root: "/checkout",
  file: "Pulumi.storage.yaml",
  config: parseStackConfig({ "project-vms:projects": projects }, "Pulumi.storage.yaml"),
  host: { settings: host, ssh: {} },
};
const network = (found: Partial<NetworkFound> = {}): NetworkFound => ({
  name: "project-vms",
  uuid: "1",
  active: true,
  autostart: true,
  dnsDomain: "storage.project-vms.internal",
  cidr: "10.77.0.0/24",
  ...found,
});
const storage = { path: "/vms", capacity: 500 * GiB, available: 400 * GiB, writable: true };
const volumes = [aVolume(), aVolume({ name: "disk.qcow2", path: "/vms/webapp/disk.qcow2", capacity: 20 * GiB })];
const well = { storage, networks: [network()], pools: [aPool({ volumes })], domains: [aDomain()] };

/** What is found of a host, but for what is well; and the commands that would mend it. */
async function ills(found: Partial<Inventory>, xml = "", network = xml) {
  const commands: string[][] = [];
  const virsh: Virsh = {
    uri: "qemu:///system",
    run: async (...args) => {
      commands.push(args);
      if (args[0] === "net-dumpxml") return network;
      return args[0] === "dumpxml" ? xml : "";
    },
    runPrivately: async () => "",
  };
  const all = examineHost(stack, anInventory({ ...well, ...found }), virsh).filter(({ level }) => level !== "ok");
  for (const { mend } of all) await mend?.();
  return { said: all.map(({ level, check, says }) => `${level} ${check}: ${says}`), commands };
}

describe("a host", () => {
  test("in order has nothing to be said against it", async () => {
    expect(await ills({})).toEqual({ said: [], commands: [] });
  });

  test("with a stopped network is mended by starting it", async () => {
    const domains = [aDomain({ state: "shut off" })];
    expect(await ills({ networks: [network({ active: false })], domains })).toEqual({
      said: ["failure network: project-vms is stopped: no VM on it can be started"],
      commands: [["net-start", "project-vms"]],
    });
  });

  test("with a stopped network tells which VMs that run are cut off, also once it is up", async () => {
    const domains = [aDomain({ network: "project-vms" }), aDomain({ name: "project-api", state: "shut off" })];
    expect((await ills({ networks: [network({ active: false })], domains })).said).toEqual([
      "failure network: project-vms is stopped: no VM on it can be started; once it is up, these need a restart to be on it again: project-webapp",
    ]);
  });

  test("whose network does not start with it is mended by having it do so", async () => {
    expect(await ills({ networks: [network({ autostart: false })] })).toEqual({
      said: ["warning network: project-vms is up, but not after the host's next start"],
      commands: [["net-autostart", "project-vms"]],
    });
  });

  test("whose bridge listens to the spanning tree protocol is warned of, and mended for the network's next start", async () => {
    const xml = '<network><name>project-vms</name><bridge name="virbr0" stp="on"/></network>';
    const { said, commands } = await ills({ networks: [network({ stp: true })] }, xml);
    expect(said).toEqual([
      "warning network filters: the bridge of project-vms listens to the spanning tree protocol: any VM on it can hold up the others",
    ]);
    expect(commands.map(([verb]) => verb)).toEqual(["net-dumpxml", "net-define"]);
  });

  test("with a VM that has no network filter is mended by giving it one", async () => {
    const nic = { mac: macAddress("webapp"), type: "network", on: "project-vms" };
    const bare = aDomain({ devices: [{ ...devicesWith(), nics: [nic] }] });
    const xml = `<domain><devices><interface><mac address="${nic.mac}"/></interface></devices></domain>`;
    const net = `<network><name>n</name><uuid>u</uuid><ip address="10.77.0.1" prefix="24"/></network>`;
    const { said, commands } = await ills({ domains: [bare] }, xml, net);
    expect(said).toEqual([
      "failure network filters: project-webapp has none that holds: it can take other VMs' addresses on project-vms",
    ]);
    const verbs = commands.map(([verb]) => verb);
    expect(verbs).toEqual(expect.arrayContaining(["net-update", "nwfilter-define", "update-device"]));
  });

  test("with a further interface of a VM on its network, which no filter of ours can serve, names what detaches it", async () => {
    const stray = { mac: "52:54:00:00:00:99", type: "network", on: "project-vms" };
    const { nics, ...rest } = devicesWith();
    const domains = [aDomain({ devices: [{ ...rest, nics: [...nics, stray] }] })];
    expect(await ills({ domains })).toEqual({
      said: [
        "failure network filters: project-webapp: must have no interface on project-vms that no network filter holds, but has 52:54:00:00:00:99: by it the guest can take other VMs' addresses",
      ],
      commands: [],
    });
  });

  test("with others' domains on its network warns of those that no filter holds, and does nothing to them", async () => {
    const on = (name: string, filter?: string) => {
      const nic = { mac: "52:54:00:00:00:99", type: "network", on: "project-vms", ...(filter ? { filter } : {}) };
      const devices = [{ disks: [], nics: [nic], others: [] }];
      return aDomain({ name, description: "project-vms stack raider", devices });
    };
    const domains = [aDomain(), on("build-box"), on("project-api"), on("tame", "clean-traffic")];
    const says = (name: string) =>
      `warning network filters: ${name}, which is no VM of this stack, is on project-vms without a network filter: it can take the VMs' addresses there`;
    expect(await ills({ domains })).toEqual({ said: [says("build-box"), says("project-api")], commands: [] });
  });

  test("with a VM whose project disk others detached names the disk", async () => {
    const { disks, ...rest } = devicesWith();
    const detached = { ...rest, disks: disks.filter(({ target }) => target !== "vdb") };
    expect((await ills({ domains: [aDomain({ devices: [devicesWith(), detached] })] })).said).toEqual([
      "failure VMs: project-webapp has nothing as vdb from its next start on: /vms/webapp/project.qcow2 was detached by other means",
    ]);
  });

  test("with a VM whose guest ejected its project disk, which its next start brings back, names the disk", async () => {
    const { disks, ...rest } = devicesWith();
    const ejected = { ...rest, disks: disks.filter(({ target }) => target !== "vdb") };
    expect((await ills({ domains: [aDomain({ devices: [ejected, devicesWith()] })] })).said).toEqual([
      "failure VMs: project-webapp: must use /vms/webapp/project.qcow2 as vdb, but has nothing there: its guest ejected it, or it was detached by other means",
    ]);
    // What its definition lacks too is told once, and another device that was ejected is no disk of ours.
    expect((await ills({ domains: [aDomain({ devices: [ejected, ejected] })] })).said).toHaveLength(1);
    const more = { ...rest, disks: [...disks, { target: "vdd", source: "/srv/x.img", format: "", chain: [] }] };
    expect((await ills({ domains: [aDomain({ devices: [devicesWith(), more] })] })).said).toEqual([]);
  });

  test("with a stopped pool of a project is mended by starting it", async () => {
    expect(await ills({ pools: [aPool({ active: false })] })).toEqual({
      said: ["failure pools: project-webapp (/vms/webapp) is not active"],
      commands: [["pool-start", "project-webapp"]],
    });
    const domains = [aDomain({ diskPaths: ["/vms/webapp/project.qcow2"] })];
    expect((await ills({ pools: [aPool({ active: false })], domains })).said).toEqual([
      "failure pools: project-webapp (/vms/webapp) is not active",
    ]);
  });

  test("with the stopped pool of its base images likewise", async () => {
    const base = aPool({ name: "project-vms-base", path: "/vms/base", active: false });
    expect(await ills({ pools: [...well.pools, base] })).toEqual({
      said: ["failure pools: project-vms-base (/vms/base) is not active"],
      commands: [["pool-start", "project-vms-base"]],
    });
  });

  test("whose pools do not start with it is mended by having them do so", async () => {
    expect(await ills({ pools: [aPool({ volumes, autostart: false })] })).toEqual({
      said: ["warning pools: project-webapp (/vms/webapp) is active, but not after the host's next start"],
      commands: [["pool-autostart", "project-webapp"]],
    });
  });

  test("where a VM's pool was undefined is told so; somebody else's VM needs none of ours", async () => {
    expect(await ills({ pools: [], domains: [aDomain({ diskPaths: ["/vms/webapp/project.qcow2"] })] })).toEqual({
      said: ["failure pools: project-webapp is gone, though its VM is there"],
      commands: [
        ["pool-define-as", "project-webapp", "dir", "--target", "/vms/webapp"],
        ["pool-start", "project-webapp"],
        ["pool-autostart", "project-webapp"],
      ],
    });
    const foreign = await ills({ pools: [], domains: [aDomain({ description: "" })] });
    expect(foreign.said.filter((line) => line.includes("pools"))).toEqual([]);
  });

  test("with a VM of ours on an overlay names domain, disk and file, and another's VM is not our matter", async () => {
    const overlay = aDomain({ devices: [devicesWith({ vdb: "/vms/webapp/project.s1" })] });
    expect((await ills({ domains: [overlay] })).said).toEqual([
      "failure VMs: project-webapp: must have /vms/webapp/project.qcow2 as vdb, but has /vms/webapp/project.s1",
    ]);
    const others = { ...overlay, description: "project-vms stack raider" };
    expect((await ills({ domains: [others] })).said.join()).not.toContain("failure VMs");
  });

  test("with a copy that virt-manager made of a VM of ours names it, and takes it for none of ours", async () => {
    const devices = [devicesWith({ vda: "/vms/webapp/disk-clone.qcow2", vdb: "/vms/webapp/project-clone.qcow2" })];
    const copy = aDomain({ name: "project-webapp-clone", devices, diskPaths: ["/vms/webapp/disk-clone.qcow2"] });
    // Its disks were made by libvirt, in our pool.
    const copied = ["disk-clone.qcow2", "project-clone.qcow2"].map((name) =>
      aVolume({ name, path: `/vms/webapp/${name}` }),
    );
    const pools = [aPool({ volumes: [...volumes, ...copied] })];
    expect((await ills({ pools, domains: [aDomain({ devices: [devicesWith()] }), copy] })).said).toEqual([
      "warning VMs: the domain `project-webapp-clone` bears the mark of this stack, but is none of its VMs: a copy (virt-manager, virt-clone), or one that was renamed; it is left alone",
    ]);
  });

  test("with a VM of ours whose memory is saved tells what to do first", async () => {
    const saved = aDomain({ state: "shut off", hasSavedMemory: true });
    expect((await ills({ domains: [saved] })).said).toEqual([
      "warning VMs: project-webapp has saved memory (virsh managedsave): no update works on it before it has resumed",
    ]);
  });

  test("with a VM of ours that runs and is not defined has it defined as it runs", async () => {
    const { said, commands } = await ills({ domains: [aDomain({ isTransient: true })] }, "<domain/>");
    expect(commands).toEqual([
      ["dumpxml", "project-webapp", "--inactive", "--security-info"],
      ["define", expect.any(String)],
    ]);
    expect(said).toEqual([
      "failure VMs: project-webapp: must be defined on its host, but only runs there (virsh undefine): it is gone when it stops",
    ]);
  });

  test("that has less than was promised is warned of, one that is full fails", async () => {
    const little = await ills({ storage: { ...storage, available: 20 * GiB }, memory: 8 * GiB });
    expect(little.said).toEqual([
      "warning disk space: 20 GiB of 500 GiB are free in /vms; 6 GiB used by disks and images, 70 GiB promised, which is more than there is",
    ]);
    const full = await ills({ storage: { ...storage, available: 1 * GiB } });
    expect(full.said).toEqual([expect.stringMatching(/^failure disk space: 1 GiB of 500 GiB are free/)]);
    expect((await ills({ memory: 6 * GiB })).said).toEqual([
      "warning memory: 8 GiB promised of 6 GiB: not all VMs can run at once",
      expect.stringMatching(/^failure config: Pulumi\.storage\.yaml: projects\.webapp\.memory: must be at most 6 GiB/),
    ]);
  });
});

describe("base images", () => {
  const digit = (text: string) => createHash("sha512").update(text).digest("hex");
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "images-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** An image with its marker, as they are on a host; `now` is what is in the file, `times` when both were written to. */
  function image(now: string, times: { modified?: number; marker?: { modified: number } | null } = {}): BaseImage {
    const uploaded = digit("image");
    const file = path.join(dir, `debian-testing-${uploaded.slice(0, 12)}.qcow2`);
    writeFileSync(file, now);
    writeFileSync(`${file}.sha512`, `${uploaded}  x\n`);
    const { modified = 1, marker = { modified: 2 } } = times;
    return {
      ...baseImage(path.basename(file), { projects: ["webapp"], modified }),
      path: file,
      marker: marker ? { path: `${file}.sha512`, ...marker } : undefined,
    };
  }

  async function examined(usage: Partial<ImageUsage>, pool: PoolFound | undefined = aPool()) {
    const log: string[] = [];
    const all = { images: [], missing: [], ...usage };
    const of = { stack: "storage", host, pool, usage: all, shell: shellFor(host.uri) };
    const found = await examineImages(of, (line) => log.push(line));
    return { log, said: found.map(({ level, says, fix }) => `${level} ${fix}: ${says.replaceAll(`${dir}/`, "")}`) };
  }

  test("that are what was uploaded are in order; each is read", async () => {
    const whole = image("image");
    expect(await examined({ images: [whole] })).toEqual({
      log: [`reading ${whole.path}`],
      said: ["ok none: 1, none missing, each with the digest that it was uploaded with"],
    });
  });

  test("that are not there yet, or cannot be seen, are not called whole", async () => {
    expect((await examined({})).said).toEqual(["ok none: there is none yet: the first update brings it"]);
    expect((await examined({}, aPool({ active: false }))).said).toEqual([
      "warning none: could not be looked at: their pool is not active",
    ]);
  });

  test("of which one was altered are told with both digests, however old the file says that it is", async () => {
    const altered = image("other");
    expect((await examined({ images: [altered] })).said).toEqual([
      `failure none: ${altered.name} must have the SHA-512 ${digit("image")}, but has ${digit("other")}; on it: projects.webapp`,
    ]);
  });

  test("of which one only looks altered are mended by another marker", async () => {
    const touched = image("image", { modified: 3 });
    expect((await examined({ images: [touched] })).said).toEqual([
      `failure possible: ${touched.name} was written to after it was uploaded, which updates refuse; its digest is as it was`,
    ]);
  });

  test("of which one is missing, not marked or cannot be read are told so", async () => {
    const [unmarked, gone] = [image("image", { marker: null }), { ...image("image"), path: path.join(dir, "gone") }];
    const { said } = await examined({ images: [unmarked, gone], missing: [{ ...gone, name: "gone" }] });
    expect(said).toEqual([
      "failure none: gone is missing; on it: projects.webapp",
      `warning none: ${unmarked.name}: its upload was cut off, or goes on`,
      expect.stringMatching(
        /^warning none: could not be looked at: sha512sum gone failed on this machine .* No such file or directory$/,
      ),
    ]);
  });
});

describe("the state", () => {
  const examined = (inState: string[] | undefined, domains = [aDomain()]) => {
    const { level, says } = examineState(stack, anInventory({ domains }), inState && { vms: inState, removable: [] });
    return `${level}: ${says}`;
  };

  test.each<[string[] | undefined, string]>([
    [["webapp"], "ok: it has 1 VM, all on the host"],
    [undefined, "warning: there is none here, and the host has 1 VM"],
    [[], "warning: the host has webapp of this stack, which the state has not"],
    [["webapp", "api"], "failure: it has api, which the host has not: removed there by other means"],
  ])("of %j", (inState, said) => {
    expect(examined(inState)).toBe(said);
  });

  test("of a VM whose description was rewritten: it is there, and how it is marked again is said", () => {
    const unmarked = aDomain({ uuid: domainUuid("webapp"), description: "Anna's", marks: { definition: "d" } });
    expect(examined(["webapp"], [unmarked])).toBe("ok: it has 1 VM, all on the host");
    expect(examined(["webapp"], [{ ...unmarked, uuid: "another" }])).toMatch(/^failure: it has webapp, which the host/);
    const findings = examineHost(stack, anInventory({ domains: [unmarked] }), virshFor("test:///default"));
    expect(findings.find(({ check }) => check === "config")?.remedy).toContain("give it the mark back");
  });

  test("of a stack that was renamed: its VMs bear the former name, and are there", () => {
    const renamed = anInventory({ domains: [aDomain({ description: "project-vms stack former" })] });
    expect(examineState(stack, renamed, { vms: ["webapp"], removable: [] }, "former").level).toBe("ok");
    const findings = examineHost(stack, renamed, virshFor("test:///default"), { formerName: "former" });
    expect(findings.filter(({ check, says }) => check === "config" && says.includes("was renamed"))).toHaveLength(1);
  });

  const apply =
    "recreate them, on the disks that were kept: project-vm apply --stack storage, or pulumi up --refresh -s storage";
  const back =
    "; what was on a lost disk comes back by a backup, before that: project-vm import <project> <file> --stack storage";

  test.each<[string, Partial<Inventory>, string, string]>([
    ["and left its disks", { pools: well.pools }, "", apply],
    ["with its disks", { pools: [aPool()] }, ", with the project disk of webapp", `${apply}${back}`],
    ["and its pool is stopped", { pools: [aPool({ active: false })] }, "", apply],
  ])(
    "that has a VM which was removed %s tells what brings it back, by a refresh in any case",
    (_, found, lost, remedy) => {
      expect(examineState(stack, anInventory(found), { vms: ["webapp"], removable: [] })).toMatchObject({
        says: `it has webapp, which the host has not: removed there by other means${lost}`,
        remedy,
      });
    },
  );

  test("of nothing, where there is nothing", () => {
    expect(examined(undefined, [aDomain({ description: "project-vms stack local" })])).toBe(
      "ok: there is none yet, and no VM",
    );
  });
});

test("warnings are no illness, failures are until they are mended", () => {
  const failed = failure("a", "b", "c", async () => undefined);
  expect(isWell([ok("a", "b"), warning("a", "b", "c")])).toBe(true);
  expect(isWell([ok("a", "b"), failed])).toBe(false);
  expect(isWell([{ ...failed, fix: "fixed" }])).toBe(true);
});

test("what cannot be mended says why, and is an illness still", async () => {
  const { mend: _, ...finding } = failure("network", "it is stopped", "virsh net-start it", async () => undefined);
  expect(await mended(finding, async () => undefined)).toEqual({ ...finding, fix: "fixed" });
  const left = await mended(finding, async () => {
    throw new VirshError("qemu:///system", ["net-start", "it"], 1, "no such bridge");
  });
  expect(left).toEqual({
    check: "network",
    level: "failure",
    says: "it is stopped; this could not be mended: virsh -c qemu:///system net-start it failed (exit code 1): no such bridge",
    remedy: "virsh net-start it",
    fix: "none",
  });
  expect(isWell([left])).toBe(false);
  const bug = () => Promise.reject(new TypeError("bug"));
  await expect(mended(finding, bug)).rejects.toThrow("bug");
});

test.each([
  ["local.json.attrs", "", "failed to load checkpoint: EOF"],
  ["local.json.attrs", "\0\0", "failed to load checkpoint: EOF"],
  ["../../meta.yaml.attrs", "", 'read ".pulumi/meta.yaml": EOF'],
])(
  "an empty file of attributes (%s, %j), which plain pulumi fails at, is named, and removed when it shall be",
  async (name, text, error) => {
    const root = mkdtempSync(path.join(tmpdir(), "state-"));
    try {
      const stacks = path.join(root, ".local/state/.pulumi/stacks/project-vms");
      mkdirSync(stacks, { recursive: true });
      const attributes = path.join(stacks, name);
      writeFileSync(attributes, "{}");
      expect(examineAttributes(root)).toMatchObject({ level: "ok", says: "the engine can read them" });
      writeFileSync(attributes, text);
      const found = examineAttributes(root);
      expect(found).toMatchObject({
        level: "failure",
        says: `plain pulumi ends with "${error}": ${attributes} is empty`,
        remedy: `rm ${attributes}`,
      });
      await found.mend?.();
      expect([existsSync(attributes), examineAttributes(root).level]).toEqual([false, "ok"]);
    } finally {
      rmSync(root, { recursive: true });
    }
  },
);

describe("state files of a backend that PULUMI_BACKEND_URL names", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), "state-"));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(root, { recursive: true });
  });
  const skips = "is without metadata=skip: an engine that is killed can leave a state that none can read";

  test("an empty file of attributes in its folder is named with what keeps it from coming back, and removed", async () => {
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}/elsewhere`);
    const stacks = path.join(root, "elsewhere/.pulumi/stacks/project-vms");
    mkdirSync(stacks, { recursive: true });
    const attributes = path.join(stacks, "local.json.attrs");
    writeFileSync(attributes, "");
    const found = examineAttributes(root);
    const remedy = `export PULUMI_BACKEND_URL='file://${root}/elsewhere?metadata=skip'`;
    expect(found).toMatchObject({
      level: "failure",
      says: `plain pulumi ends with "failed to load checkpoint: EOF": ${attributes} is empty`,
      remedy: `rm ${attributes}; then ${remedy}`,
    });
    await found.mend?.();
    expect(existsSync(attributes)).toBe(false);
    const says = `the URL of the backend file://${root}/elsewhere ${skips}`;
    expect(examineAttributes(root)).toEqual(warning("state files", says, remedy));
  });

  test.each([
    ["file:///none?metadata=skip", ok("state files", "the engine can read them")],
    [
      "file:///none?no_tmp_dir=true",
      warning(
        "state files",
        `the URL of the backend file:///none ${skips}`,
        "export PULUMI_BACKEND_URL='file:///none?no_tmp_dir=true&metadata=skip'",
      ),
    ],
    ["s3://bucket/x?region=eu", ok("state files", "the backend s3://bucket/x keeps no files that could be empty")],
    [
      "https://api.pulumi.com",
      ok("state files", "the backend https://api.pulumi.com keeps no files that could be empty"),
    ],
    [
      "file:///100%",
      warning(
        "state files",
        "not looked at: the backend file:///100% is no folder that is known here",
        "see by `pulumi stack ls` whether the engine can read them",
      ),
    ],
    [
      "file:///dev/null",
      warning(
        "state files",
        "not looked at: this user cannot read /dev/null/.pulumi",
        "run the doctor as the user whose they are",
      ),
    ],
  ])("%s", (url, finding) => {
    vi.stubEnv("PULUMI_BACKEND_URL", url);
    expect(examineAttributes(root)).toEqual(finding);
  });

  test("one that `pulumi login` chose may be a folder, and is not known here", () => {
    writeFileSync(path.join(root, "Pulumi.yaml"), "name: project-vms\n");
    const says = "not looked at: the backend that `pulumi login` chose is no folder that is known here";
    const remedy = "see by `pulumi stack ls` whether the engine can read them";
    expect(examineAttributes(root)).toEqual(warning("state files", says, remedy));
  });

  test("Pulumi.yaml's is changed there", () => {
    writeFileSync(path.join(root, "Pulumi.yaml"), "name: project-vms\nbackend:\n  url: file://./.local/state\n");
    expect(examineAttributes(root).remedy).toBe(
      "in Pulumi.yaml, `url: file://./.local/state?metadata=skip` under `backend`",
    );
  });
});

test("plugin processes that were left behind are named, and ended when they shall be", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "toolchains-"));
  try {
    const plugin = path.join(folder, "pulumi-resource-test");
    copyFileSync("/bin/sleep", plugin);
    // A shell that ends at once, so that its child has nobody.
    const pid = Number(execFileSync("sh", ["-c", '"$0" 60 >&- 2>&- & echo $!', plugin]));
    await expect.poll(() => examineOrphans(folder).level).toBe("warning");
    const found = examineOrphans(folder);
    expect(found.says).toBe(`1 were left behind by engines that are gone (${pid})`);
    await found.mend?.();
    await expect.poll(() => examineOrphans(folder).level).toBe("ok");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("backups", () => {
  const now = new Date("2026-03-14T12:00:00Z");
  const wanted = { webapp: { backup: { every: "6h", keep: 2 } }, api: { backup: { every: "1d", keep: 2 } }, none: {} };
  const of = {
    ...stack,
    config: parseStackConfig({ "project-vms:projects": JSON.stringify(wanted) }, "Pulumi.storage.yaml"),
  };
  const found = (...hours: number[]): BackupsFound => ({
    now,
    disks: new Map(["webapp", "api", "none"].map((name) => [name, null])),
    backups: new Map([
      ["webapp", hours.map((ago) => new Date(now.getTime() - ago * 3_600_000))],
      ["api", [now]],
    ]),
  });

  test("as recent as they should be are in order", () => {
    expect(judgeBackups(of, found(3))).toEqual([ok("backups", "2 projects with `backup`, none of them overdue")]);
  });

  test.each([
    [[13], "webapp has none since 2026-03-13T23:00:00.000Z, though one is to be made every 6h"],
    [[], "webapp has none, though one is to be made every 6h"],
  ])("from %j hours ago are overdue", (hours, says) => {
    const remedy =
      "why, on its host: journalctl -u project-vms-backup-webapp; make one: project-vm backup webapp --stack storage";
    expect(judgeBackups(of, found(...hours))).toEqual([warning("backups", says, remedy)]);
  });

  test("that cannot be looked at are said to be so; where none are wanted nothing is looked at", async () => {
    vi.stubEnv("PATH", "/nowhere");
    const [finding] = await examineBackups({
      ...of,
      host: { settings: { ...host, uri: "qemu+ssh://x/system" }, ssh: {} },
    });
    vi.unstubAllEnvs();
    expect(finding).toMatchObject({
      check: "backups",
      level: "warning",
      says: expect.stringContaining("could not be looked at"),
    });
    expect(await examineBackups(stack)).toEqual([]);
  });
});
