import { describe, expect, it } from "vitest";
import { type HostSettings, parseStackConfig } from "../../../src/config/parse.ts";
import { UserError } from "../../../src/core/errors.ts";
import type { NameBefore } from "../../../src/core/names.ts";
import { domainUuid } from "../../../src/core/names.ts";
import { GiB } from "../../../src/core/sizes.ts";
import type { DomainFound, Inventory, NetworkFound, PoolFound } from "../../../src/libvirt/inventory.ts";
import { checkAgainstHost } from "../../../src/preflight/host-checks.ts";
import { asPulumi, file } from "../config/samples.ts";

const uri = "qemu+ssh://root@storage/system";
const storage = { path: "/srv/vms", capacity: 500 * GiB, available: 400 * GiB, writable: true };
const plenty: Inventory = {
  uri,
  memory: 64 * GiB,
  cpus: 16,
  firmwares: ["bios", "uefi"],
  virtualization: "kvm",
  hypervisorVersion: "9.2.0",
  storage,
  pools: [],
  networks: [],
  domains: [],
};

const network = (found: Partial<NetworkFound>): NetworkFound => ({
  name: "project-vms",
  uuid: "4a1c",
  active: true,
  autostart: true,
  ...found,
});
const domain = (found: Partial<DomainFound>): DomainFound => ({
  name: "project-webapp",
  uuid: "2b7d",
  state: "running",
  autostart: false,
  type: "kvm",
  memory: 8 * GiB,
  cpus: 4,
  firmware: "bios",
  marks: {},
  diskPaths: [],
  ...found,
});
const pool = (found: Partial<PoolFound>): PoolFound => ({
  name: "project-webapp",
  uuid: "9e0f",
  type: "dir",
  path: "/srv/vms/webapp",
  active: true,
  autostart: true,
  capacity: 500 * GiB,
  available: 400 * GiB,
  volumes: [],
  ...found,
});
const projectDisk = {
  name: "project.qcow2",
  path: "/srv/vms/webapp/project.qcow2",
  capacity: 50 * GiB,
  allocation: GiB,
  format: "qcow2",
};

interface Case extends NameBefore {
  config?: Record<string, unknown>;
  host?: Record<string, unknown>;
  found?: Partial<Inventory>;
  stack?: string;
}

function check({ config = { projects: { webapp: {} } }, host = {}, found = {}, stack = "storage", ...before }: Case) {
  const parsed = parseStackConfig(asPulumi({ host: { uri, storageDir: "/srv/vms", ...host }, ...config }), file);
  return checkAgainstHost(parsed, parsed.host as HostSettings, { ...plenty, ...found }, stack, file, before);
}

/** The errors as the user sees them. */
const errors = (given: Case) => new UserError("", check(given).errors).message.trimStart();
const warnings = (given: Case) => check(given).warnings;

/** One error: its place with what is said of it, and the remedy. */
const one = (fact: string, remedy: string) => `- Pulumi.local.yaml: ${fact}\n    ${remedy}`;

describe("a host that has what is asked for", () => {
  it.each<[string, Case]>([
    ["nothing of ours yet", {}],
    ["no project", { config: {} }],
    [
      "all of it ours already",
      {
        found: {
          pools: [pool({ volumes: [projectDisk] }), pool({ name: "project-vms-base", path: "/srv/vms/base/" })],
          networks: [network({ dnsDomain: "storage.project-vms.internal", cidr: "10.77.0.1/24" })],
          domains: [domain({ description: "project-vms stack storage\n", diskPaths: ["/srv/vms/webapp/disk.qcow2"] })],
        },
      },
    ],
    [
      "others' things beside ours",
      {
        found: {
          pools: [pool({ name: "images", path: "/srv/vms" }), pool({ name: "vg", type: "logical", path: "" })],
          networks: [
            network({ name: "default", cidr: "192.168.122.1/24" }),
            network({ name: "same-but-stopped", active: false, cidr: "10.77.0.1/24" }),
            network({ name: "six", cidr: "fd00::/64" }),
          ],
          domains: [domain({ name: "other", diskPaths: ["/srv/vms/webapp2/disk.qcow2"] })],
        },
      },
    ],
    ["an existing network", { host: { network: "default" }, found: { networks: [network({ name: "default" })] } }],
    ["a folder of which nothing is known", { found: { storage: undefined } }],
  ])("%s", (_, given) => {
    expect(check(given)).toEqual({ errors: [], pools: [], warnings: [] });
  });
});

describe("more than the host has", () => {
  const has = (figure: string) => `must be at most ${figure}, which is all that ${uri} has`;
  const disks = `must be at most 500 GiB, which is all that /srv/vms on ${uri} has`;
  it.each<[Case, string, string]>([
    [
      { config: { projects: { webapp: { memory: "65 GiB" } } } },
      `projects.webapp.memory: ${has("64 GiB")}, but is "65 GiB"`,
      "write at most `64 GiB`",
    ],
    [
      { config: { projects: { webapp: { cpus: 17 } } } },
      `projects.webapp.cpus: ${has("16")}, but is 17`,
      "write at most `16`",
    ],
    [
      { config: { projects: { webapp: { disk: "1 TiB" } } } },
      `projects.webapp.disk: ${disks}, but is "1 TiB"`,
      "write at most `500 GiB`",
    ],
    [
      { config: { projects: { webapp: { rootDisk: "501 GiB" } } } },
      `projects.webapp.rootDisk: ${disks}, but is "501 GiB"`,
      "write at most `500 GiB`",
    ],
    [
      { config: { defaults: { memory: "128 GiB" }, projects: { a: {}, b: { memory: "1 GiB" }, c: {} } } },
      `defaults.memory (used by projects.a, projects.c): ${has("64 GiB")}, but is "128 GiB"`,
      "write at most `64 GiB`, there or in the project's own entry",
    ],
    [
      { found: { memory: 8_232_640_512, cpus: 4 }, config: { projects: { webapp: {} } } },
      `defaults.memory (built in, used by projects.webapp): ${has("7.66 GiB")}, but is "8 GiB"`,
      "write at most `7 GiB`, there or in the project's own entry",
    ],
    [
      { found: { cpus: 2 }, config: { projects: { a: {}, b: {}, c: {}, d: {}, e: {}, f: {}, g: {} } } },
      `defaults.cpus (built in, used by projects.a, projects.b, projects.c, projects.d, projects.e and 2 more): ${has("2")}, but is 4`,
      "write at most `2`, there or in the project's own entry",
    ],
  ])("%j", (given, fact, remedy) => {
    expect(errors(given)).toBe(one(fact, remedy));
  });

  it("is told for each project that asks for it itself", () => {
    const projects = { a: { cpus: 20 }, b: { cpus: 30, memory: "70 GiB" } };
    expect(check({ config: { projects } }).errors.map(({ path }) => path)).toEqual([
      "Pulumi.local.yaml: projects.b.memory",
      "Pulumi.local.yaml: projects.a.cpus",
      "Pulumi.local.yaml: projects.b.cpus",
    ]);
  });

  it("in sum is a warning", () => {
    const projects = { a: { memory: "40 GiB", disk: "300 GiB" }, b: { memory: "40 GiB", disk: "300 GiB" } };
    expect(check({ config: { projects } })).toEqual({
      errors: [],
      pools: [],
      warnings: [
        `Pulumi.local.yaml: projects: all VMs together want 80 GiB of memory, ${uri} has 64 GiB: not all can run at once`,
        "Pulumi.local.yaml: projects: all disks together may grow to 640 GiB, /srv/vms holds 500 GiB",
      ],
    });
  });
});

describe("a host that cannot do it", () => {
  it.each<[string, Case, string, string]>([
    [
      "KVM",
      { host: { virtualization: "kvm" }, found: { virtualization: "emulated" } },
      `host.virtualization: must be something that ${uri} can do: KVM does not work there, but is "kvm"`,
      "write `auto` or `emulated`, or make /dev/kvm work",
    ],
    [
      "UEFI, which a project asks for",
      { found: { firmwares: ["bios"] }, config: { projects: { app: {}, webapp: { firmware: "uefi" } } } },
      `projects.webapp.firmware: must be something that ${uri} can do: it has no firmware for UEFI, but is "uefi"`,
      "install Debian's package `ovmf` there, or write `bios`",
    ],
    [
      "UEFI, by default",
      { found: { firmwares: ["bios"] }, config: { defaults: { firmware: "uefi" }, projects: { app: {}, webapp: {} } } },
      `defaults.firmware: must be something that ${uri} can do: it has no firmware for UEFI, but is "uefi"`,
      "install Debian's package `ovmf` there, or write `bios`",
    ],
    [
      "a folder without permission",
      { found: { storage: { ...storage, writable: false } } },
      'host.storageDir: must be writable on the host (no permission to write), but is "/srv/vms"',
      "make it writable for libvirt there, or name another folder",
    ],
    [
      "a folder with a problem",
      { found: { storage: { ...storage, writable: false, problem: "/srv is a file" } } },
      'host.storageDir: must be writable on the host (/srv is a file), but is "/srv/vms"',
      "make it writable for libvirt there, or name another folder",
    ],
    [
      "a full filesystem",
      { found: { storage: { ...storage, available: 0 } } },
      "host.storageDir: must have 2 GiB free for projects.webapp, but is full: 0 MiB of 500 GiB are free",
      "free space in /srv/vms, or name a folder on another filesystem",
    ],
    [
      "a full filesystem, on which a disk is to grow",
      {
        config: { projects: { webapp: { disk: "60 GiB" } } },
        found: {
          storage: { ...storage, available: GiB },
          pools: [pool({ volumes: [projectDisk] })],
          domains: [domain({ description: "project-vms stack storage" })],
        },
      },
      "host.storageDir: must have 2 GiB free for projects.webapp, but is full: 1 GiB of 500 GiB are free",
      "free space in /srv/vms, or name a folder on another filesystem",
    ],
    [
      "an existing network that is not there",
      { host: { network: "default" }, found: { networks: [network({ name: "lan" }), network({ name: "wan" })] } },
      `host.network: must be a network that is there: ${uri} has \`lan\`, \`wan\`, but is "default"`,
      "name one of those, or write `{name: default, cidr: 10.77.0.0/24}` to have it made",
    ],
    [
      "an existing network that is stopped",
      { host: { network: "default" }, found: { networks: [network({ name: "default", active: false })] } },
      `host.network: must be a network that is active on ${uri}, but is "default"`,
      `start it: \`virsh -c ${uri} net-start default\``,
    ],
    [
      "an existing network with a blank in its name that is stopped",
      { host: { network: "my net" }, found: { networks: [network({ name: "my net", active: false })] } },
      `host.network: must be a network that is active on ${uri}, but is "my net"`,
      `start it: \`virsh -c ${uri} net-start 'my net'\``,
    ],
    [
      "addresses that another network has",
      { found: { networks: [network({ name: "lab", cidr: "10.77.0.1/16" })] } },
      `host.network.cidr: must not overlap the network \`lab\` on ${uri}, which has 10.77.0.1/16, but is "10.77.0.0/24"`,
      "choose other addresses, or write `network: lab` to share it",
    ],
    [
      "a network of ours, where libvirt cannot filter",
      { found: { filterProblem: "this function is not supported" } },
      `host.network: must be on a host whose libvirt has network filters: ${uri} says "this function is not supported", but is "project-vms"`,
      "install libvirt's nwfilter driver there (Debian: libvirt-daemon and iptables; Fedora: libvirt-daemon-driver-nwfilter), or name a network of your own, which is not filtered",
    ],
  ])("%s", (_, given, fact, remedy) => {
    expect(errors(given)).toBe(one(fact, remedy));
  });

  it("takes a network of the user's own as it is, also where libvirt cannot filter; another stack's is filtered", () => {
    const filterProblem = "this function is not supported";
    const on = (dnsDomain: string) => ({
      host: { network: "default" },
      found: { filterProblem, networks: [network({ name: "default", dnsDomain })] },
    });
    expect(errors(on("lan"))).toBe("");
    expect(errors(on("raider.project-vms.internal"))).toContain("must be on a host whose libvirt has network filters");
  });

  it("does not stop what needs no new space", () => {
    const full = { ...storage, available: 0 };
    expect(check({ found: { storage: full, pools: [pool({ volumes: [projectDisk] })] } }).errors).toEqual([]);
    expect(check({ config: {}, found: { storage: full } }).errors).toEqual([]);
  });

  it("warns of our own network when it is stopped", () => {
    const ours = network({ active: false, dnsDomain: "storage.project-vms.internal" });
    expect(warnings({ found: { networks: [ours] } })).toEqual([
      `Pulumi.local.yaml: host.network: the network \`project-vms\` is stopped; start it with \`virsh -c ${uri} net-start project-vms\``,
    ]);
  });

  it("names a URI with special characters so that the command can be pasted", () => {
    const embedded = "qemu+unix:///system?socket=/run/a/libvirt-sock";
    const ours = network({ active: false, dnsDomain: "storage.project-vms.internal" });
    expect(warnings({ found: { uri: embedded, networks: [ours] } })).toEqual([
      `Pulumi.local.yaml: host.network: the network \`project-vms\` is stopped; start it with \`virsh -c '${embedded}' net-start project-vms\``,
    ]);
  });
});

it("leaves what virt-manager has copied of a VM alone, with its disks beside ours, and names it", () => {
  const names = ["disk-clone.qcow2", "project-clone.qcow2", "seed.iso"];
  const folder = "/srv/vms/webapp";
  const description = "project-vms stack storage";
  const clone = domain({
    ...{ name: "project-webapp-clone", uuid: "c10e", description },
    diskPaths: names.map((name) => `${folder}/${name}`),
  });
  const volumes = names.map((name) => ({ ...projectDisk, name, path: `${folder}/${name}` }));
  const ours = domain({ description, diskPaths: [`${folder}/project.qcow2`] });
  const found = { domains: [ours, clone], pools: [pool({ volumes: [projectDisk, ...volumes] })] };
  expect(check({ found }).errors).toEqual([]);
  expect(warnings({ found })).toEqual([
    "Pulumi.local.yaml: projects: the domain `project-webapp-clone` bears the mark of this stack, but is none of its VMs: a copy (virt-manager, virt-clone), or one that was renamed; it is left alone",
  ]);
});

describe("what belongs to somebody else is refused", () => {
  const another = "choose another name, or remove that domain yourself if nobody needs it";
  const foreign = `projects.webapp: the domain \`project-webapp\` on ${uri} belongs to somebody else:`;
  const unmarked = domain({ uuid: domainUuid("webapp"), description: "Anna's web app", marks: { definition: "d" } });
  const noMark = `projects.webapp: the domain \`project-webapp\` on ${uri} does not say which stack it is of:`;
  const desc = `virsh -c ${uri} desc project-webapp`;
  const markBack = (text: string) =>
    `if it is this stack's, give it the mark back, as a line of its description: ${desc} ${text} --config`;
  const noted = "'project-vms stack storage'";
  const poolFact = `the pool \`project-webapp\` on ${uri} is not ours: it is of type`;
  const ours = "ours would be of type dir at /srv/vms/webapp";
  const undefine = `remove that pool (its files stay): \`virsh -c ${uri} pool-destroy project-webapp && virsh -c ${uri} pool-undefine project-webapp\``;
  const networkFact = `host.network.name: the network \`project-vms\` on ${uri} belongs to somebody else:`;
  const networkRemedy = "write `network: project-vms` to share it, or choose another name and cidr";
  it.each<[string, Partial<Inventory>, string, string]>([
    ["a domain without description", { domains: [domain({})] }, `${foreign} it has no description (running)`, another],
    [
      "a domain with another description",
      { domains: [domain({ description: "Bob's, do not touch", state: "shut off" })] },
      `${foreign} its description is "Bob's, do not touch" (shut off)`,
      another,
    ],
    [
      "a VM of ours whose description was rewritten",
      { domains: [unmarked] },
      `${noMark} its description is "Anna's web app" (running)`,
      `${markBack(`"$(echo ${noted}; ${desc})"`)} --live; otherwise ${another}`,
    ],
    [
      "one that is off, of which nothing is described",
      { domains: [{ ...unmarked, state: "shut off", description: "" }] },
      `${noMark} it has no description (shut off)`,
      `${markBack(noted)}; otherwise ${another}`,
    ],
    [
      "a copy of a VM, renamed to ours, without its mark",
      { domains: [{ ...unmarked, uuid: "c10e" }] },
      `${foreign} its description is "Anna's web app" (running)`,
      another,
    ],
    [
      "a domain of another stack, which has our UUID and marks",
      { domains: [{ ...unmarked, description: "project-vms stack raider" }] },
      `${foreign} it is of the Project VMs stack \`raider\` (running)`,
      another,
    ],
    [
      "a domain of another stack",
      { domains: [domain({ description: "project-vms stack raider" })] },
      `${foreign} it is of the Project VMs stack \`raider\` (running)`,
      another,
    ],
    [
      "a domain of a stack whose name begins as ours does",
      { domains: [domain({ description: "project-vms stack storage2" })] },
      `${foreign} it is of the Project VMs stack \`storage2\` (running)`,
      another,
    ],
    [
      "a copy of another VM of the stack",
      {
        domains: [domain({ description: "project-vms stack storage", diskPaths: ["/srv/vms/api/disk-clone.qcow2"] })],
      },
      `${foreign} it is a copy of a VM of the stack \`storage\` (running)`,
      another,
    ],
    [
      "a domain with an image on one of our disks",
      {
        domains: [domain({ name: "rescue", diskPaths: ["/srv/vms/webapp/top"] })],
        pools: [
          pool({
            volumes: [
              { ...projectDisk, name: "top", path: "/srv/vms/webapp/top", backingPath: "/srv/vms/webapp/below" },
              { ...projectDisk, name: "below", path: "/srv/vms/webapp/below", backingPath: projectDisk.path },
            ],
          }),
        ],
      },
      `projects.webapp: its disks in /srv/vms/webapp/ are used by the domain \`rescue\` on ${uri}, which is not ours`,
      "choose another name or another storageDir, or take those disks from that domain",
    ],
    [
      "a domain with an image beside our disks that its pool does not list",
      {
        domains: [domain({ name: "rescue", diskPaths: ["/srv/vms/webapp/rescue.qcow2"] })],
        pools: [pool({ volumes: [projectDisk] })],
      },
      `projects.webapp: its disks in /srv/vms/webapp/ are used by the domain \`rescue\` on ${uri}, which is not ours`,
      "choose another name or another storageDir, or take those disks from that domain",
    ],
    [
      "a domain that uses our disks",
      { domains: [domain({ name: "rescue", diskPaths: ["/srv/vms/webapp/project.qcow2"] })] },
      `projects.webapp: its disks in /srv/vms/webapp/ are used by the domain \`rescue\` on ${uri}, which is not ours`,
      "choose another name or another storageDir, or take those disks from that domain",
    ],
    [
      "a pool at another place",
      { pools: [pool({ path: "/home/bob/pool" })] },
      `projects.webapp: ${poolFact} dir at /home/bob/pool, ${ours}`,
      `choose another name, or ${undefine}`,
    ],
    [
      "a pool at the place of a former storageDir",
      { pools: [pool({ path: "/var/lib/project-vms/webapp" })] },
      `projects.webapp: ${poolFact} dir at /var/lib/project-vms/webapp, ${ours}`,
      `set storageDir to \`/var/lib/project-vms\`, or ${undefine}`,
    ],
    [
      "a pool of another type",
      { pools: [pool({ type: "netfs" })] },
      `projects.webapp: ${poolFact} netfs at /srv/vms/webapp, ${ours}`,
      `choose another name, or ${undefine}`,
    ],
    [
      "a pool of another name in our folder",
      { pools: [pool({ name: "bobs", path: "/srv/vms/webapp/" })] },
      `projects.webapp: the folder /srv/vms/webapp on ${uri} is that of the pool \`bobs\`, which is not ours`,
      "choose another name or another storageDir, or undefine that pool",
    ],
    [
      "a pool for base images of another storageDir",
      { pools: [pool({ name: "project-vms-base", path: "/var/lib/project-vms/base" })] },
      `host.storageDir: the pool \`project-vms-base\` on ${uri} is not ours: it is of type dir at /var/lib/project-vms/base, ours would be of type dir at /srv/vms/base`,
      `set storageDir to \`/var/lib/project-vms\`, or remove that pool (its files stay): \`virsh -c ${uri} pool-destroy project-vms-base && virsh -c ${uri} pool-undefine project-vms-base\``,
    ],
    [
      "a network without our mark",
      { networks: [network({})] },
      `${networkFact} it has no DNS domain, ours would be storage.project-vms.internal`,
      networkRemedy,
    ],
    [
      "a network of another stack",
      { networks: [network({ dnsDomain: "raider.project-vms.internal" })] },
      `${networkFact} its DNS domain is raider.project-vms.internal, ours would be storage.project-vms.internal`,
      networkRemedy,
    ],
  ])("%s", (_, found, fact, remedy) => {
    expect(errors({ found })).toBe(one(fact, remedy));
  });

  it("all of it together, with what else cannot be had", () => {
    const found = { cpus: 2, pools: [pool({ type: "netfs" })], domains: [domain({})], networks: [network({})] };
    expect(check({ found }).errors.map(({ path }) => path)).toEqual([
      "Pulumi.local.yaml: host.network.name",
      "Pulumi.local.yaml: projects.webapp",
      "Pulumi.local.yaml: projects.webapp",
      "Pulumi.local.yaml: defaults.cpus (built in, used by projects.webapp)",
    ]);
  });
});

describe("a stack that was renamed", () => {
  const networks = [network({ dnsDomain: "raider.project-vms.internal", cidr: "10.77.0.1/24" })];
  const domains = [domain({ description: "project-vms stack raider" })];
  const rule = (first: string) => `is of a stack that was renamed: ${first} on ${uri} bears the former name \`raider\``;
  const remedy =
    "give it that name back, which changes no VM: `pulumi stack rename raider --stack storage`; how a stack gets another name: docs/remote-hosts.md";

  it.each<[string, Partial<Inventory>, string]>([
    ["its network", { networks }, rule("the network `project-vms`")],
    ["its VM", { domains }, rule("the domain `project-webapp`")],
    [
      "a VM that is in the config no more",
      { domains: [domain({ name: "project-old", description: "project-vms stack raider" })] },
      rule("the domain `project-old`"),
    ],
    ["both, in one issue", { networks, domains }, `${rule("the network `project-vms`")} (and 1 more mark)`],
  ])("is told by the former name of %s, with the way back", (_, found, fact) => {
    const [issue, ...more] = check({ found, formerName: "raider" }).errors;
    expect(issue).toEqual({ path: file, rule: fact, remedy });
    expect(more).toEqual([]);
  });

  it("is refused what is a third one's, too; where nothing bears the name it goes on", () => {
    const found = { networks, domains: [domain({ description: "project-vms stack bobs" })] };
    expect(check({ found, formerName: "raider" }).errors.map(({ path }) => path)).toEqual([
      file,
      "Pulumi.local.yaml: projects.webapp",
    ]);
    expect(check({ formerName: "raider" }).errors).toEqual([]);
  });
});

describe("a stack whose state is not read here, and that may have been renamed", () => {
  const networks = [network({ dnsDomain: "raider.project-vms.internal", cidr: "10.77.0.1/24" })];
  const marked = (stack: string, name = "project-webapp") =>
    domain({ name, description: `project-vms stack ${stack}` });
  const share = "write `network: project-vms` to share it, or choose another name and cidr";
  const another = "choose another name, or remove that domain yourself if nobody needs it";
  const back =
    "; if this stack was renamed, give it that name back, which changes no VM: `pulumi stack rename raider --stack storage`";
  const remedies = (found: Partial<Inventory>, given: Case = {}) => {
    const config = { projects: { webapp: {}, api: {} } };
    return check({ config, found, mayBeRenamed: true, ...given }).errors.map(({ remedy }) => remedy);
  };

  it("is told the way back where all that it wants is of one other stack", () => {
    const domains = [marked("raider"), marked("raider", "project-api"), marked("bobs", "project-old")];
    expect(remedies({ networks, domains })).toEqual([share + back, another + back, another + back]);
    expect(remedies({ networks })).toEqual([share + back]);
    expect(remedies({ domains: [marked("a;b")] })[0]).toContain("`pulumi stack rename 'a;b' --stack storage`");
  });

  it.each<[string, Partial<Inventory>, Case]>([
    ["two others' marks are there", { networks, domains: [marked("bobs")] }, {}],
    ["a VM bears its own mark", { networks, domains: [marked("storage")] }, {}],
    ["its state tells that it was not", { networks, domains: [marked("raider")] }, { mayBeRenamed: false }],
    ["there is no mark", { networks: [network({})] }, {}],
  ])("not where %s", (_, found, given) => {
    const said = remedies(found, given);
    expect(said.length).toBeGreaterThan(0);
    expect(said.join()).not.toContain("renamed");
  });
});

describe("the stack's name", () => {
  const long = "a".repeat(64);
  const rule = "must be of a stack whose name is at most 63 characters long: it is part of its network's DNS domain";

  it("is refused before anything is made where it cannot be a DNS label", () => {
    expect(errors({ stack: long })).toContain(`${file}: ${rule}, but is "${long}"`);
    expect(errors({ stack: `dev.${"b".repeat(70)}` })).toContain(rule);
  });

  it.each([
    ["of 63 characters", { stack: "a".repeat(63) }],
    ["of two labels", { stack: `${"a".repeat(60)}.${"b".repeat(39)}` }],
  ])("will do %s", (_, given) => {
    expect(errors(given)).not.toContain(rule);
  });

  it("will do where the network is not of our making", () => {
    expect(errors({ stack: long, host: { network: "default" } })).not.toContain(rule);
  });
});
