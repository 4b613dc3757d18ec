import { describe, expect, it } from "vitest";
import { parseStackConfig } from "../../../src/config/parse.ts";
import { UserError } from "../../../src/core/errors.ts";
import { asPulumi, file, messageOf, privateKey } from "./samples.ts";

const parse = (config: Record<string, unknown>) => parseStackConfig(asPulumi(config), file);

/** The message about a config with one mistake: its place with what is said of it, and the remedy. */
const one = (fact: string, remedy: string) =>
  `Pulumi.local.yaml has 1 mistake. Nothing was created or changed.\n  - Pulumi.local.yaml: ${fact}\n    ${remedy}`;

const vmKeys = "`memory`, `cpus`, `disk`, `rootDisk`, `firmware`, `autostart`, `keepData`, `backup`";
const vmKnown = `(known here: ${vmKeys}, \`rebuild\`, \`image\`)`;
const defaultsKnown = `(known here: ${vmKeys})`;
const vm = (settings: Record<string, unknown>) => ({ projects: { webapp: settings } });
const host = (settings: Record<string, unknown>) => ({ host: { uri: "qemu:///system", ...settings } });

describe("one mistake", () => {
  const whole = "write a whole number without quotes, e.g. `4`";
  const finite = "write a number and its unit, e.g. `8 GiB`";
  const size = "write a number and MiB, GiB or TiB, e.g. `8 GiB`";
  it.each<[Record<string, unknown>, string, string]>([
    // Unknown keys, at every level
    [
      { projcts: {} },
      "projcts: is an unknown key",
      "did you mean `projects`? (known here: `host`, `image`, `sshKeys`, `tailnet`, `headscaleApiKey`, `defaults`, `projects`)",
    ],
    [
      { memory: "8 GiB" },
      "memory: is an unknown key",
      "known here: `host`, `image`, `sshKeys`, `tailnet`, `headscaleApiKey`, `defaults`, `projects`",
    ],
    [vm({ memroy: "8 GiB" }), "projects.webapp.memroy: is an unknown key", `did you mean \`memory\`? ${vmKnown}`],
    [vm({ Disk: "8 GiB" }), "projects.webapp.Disk: is an unknown key", `did you mean \`disk\`? ${vmKnown}`],
    [{ defaults: { cpu: 2 } }, "defaults.cpu: is an unknown key", `did you mean \`cpus\`? ${defaultsKnown}`],
    [
      host({ storagedir: "/srv" }),
      "host.storagedir: is an unknown key",
      "did you mean `storageDir`? (known here: `uri`, `storageDir`, `network`, `virtualization`, `uplink`)",
    ],
    [
      host({ network: { name: "mine", cdir: "10.0.0.0/24" } }),
      "host.network.cdir: is an unknown key",
      "did you mean `cidr`? (known here: `name`, `cidr`)",
    ],
    [{ image: { kind: "build", url: "x" } }, "image.url: is an unknown key", "known here: `kind`"],
    // Sizes
    [
      vm({ memory: "0 GiB" }),
      'projects.webapp.memory: must be more than zero, but is "0 GiB"',
      "write a size such as `8 GiB`",
    ],
    [
      vm({ disk: "-50 GiB" }),
      'projects.webapp.disk: must be more than zero, but is "-50 GiB"',
      "write a size such as `8 GiB`",
    ],
    [vm({ rootDisk: "NaN" }), 'projects.webapp.rootDisk: must be a finite size, but is "NaN"', finite],
    [vm({ memory: Number.NaN }), "projects.webapp.memory: must be a size, but is null", size],
    [vm({ memory: ".inf" }), 'projects.webapp.memory: must be a finite size, but is ".inf"', finite],
    [vm({ memory: 8 }), "projects.webapp.memory: must have a unit, but is 8", "write `8 GiB` if that is what you mean"],
    [
      vm({ memory: "16384" }),
      'projects.webapp.memory: must have a unit, but is "16384"',
      "write `16384 MiB` if that is what you mean",
    ],
    [
      vm({ disk: "50 GB" }),
      'projects.webapp.disk: must be in MiB, GiB or TiB (steps of 1024), but is "50 GB"',
      "write `50 GiB`",
    ],
    [
      vm({ memory: "8 MiB" }),
      'projects.webapp.memory: must be at least 128 MiB, but is "8 MiB"',
      "write `128 MiB` or more",
    ],
    [vm({ disk: "1 MiB" }), 'projects.webapp.disk: must be at least 64 MiB, but is "1 MiB"', "write `64 MiB` or more"],
    [
      vm({ rootDisk: "1 MiB" }),
      'projects.webapp.rootDisk: must be at least 1 GiB, but is "1 MiB"',
      "write `1 GiB` or more",
    ],
    [{ defaults: { memory: "lots" } }, 'defaults.memory: must be a size, but is "lots"', size],
    // CPUs
    [vm({ cpus: 0 }), "projects.webapp.cpus: must be at least 1, but is 0", whole],
    [vm({ cpus: -2 }), "projects.webapp.cpus: must be at least 1, but is -2", whole],
    [vm({ cpus: 1.5 }), "projects.webapp.cpus: must be a whole number, but is 1.5", whole],
    [vm({ cpus: "NaN" }), 'projects.webapp.cpus: must be a number, but is "NaN"', whole],
    [vm({ cpus: null }), "projects.webapp.cpus: must be a number, but is null", whole],
    [vm({ cpus: "4" }), 'projects.webapp.cpus: must be a number, but is "4"', whole],
    [{ projects: '{"webapp":{"cpus":1e999}}' }, "projects.webapp.cpus: must be finite, but is Infinity", whole],
    [
      vm({ firmware: "ovmf" }),
      'projects.webapp.firmware: must be one of bios, uefi, but is "ovmf"',
      "write `bios` or `uefi`",
    ],
    [
      vm({ autostart: "yes" }),
      'projects.webapp.autostart: must be true or false, but is "yes"',
      "write `true` or `false`, without quotes",
    ],
    // Text where a structure is wanted
    [
      { projects: "myapp" },
      'projects: must be a map, but is "myapp"',
      "write the entries below it, one a line and indented, e.g. `myapp: {}`",
    ],
    [
      { projects: "NaN" },
      'projects: must be a map, but is "NaN"',
      "write the entries below it, one a line and indented, e.g. `myapp: {}`",
    ],
    [
      { projects: '{"myapp":' },
      'projects: must be a map, but is "{\\"myapp\\":"',
      "write the entries below it, one a line and indented, e.g. `myapp: {}`",
    ],
    [
      { projects: ["myapp"] },
      'projects: must be a map, but is ["myapp"]',
      "write the entries below it, one a line and indented, e.g. `myapp: {}`",
    ],
    [
      vm("small" as never),
      'projects.webapp: must be a map, but is "small"',
      "write its keys below it, one a line and indented, as in docs/config.md",
    ],
    [
      { defaults: "4" },
      "defaults: must be a map, but is 4",
      "write its keys below it, one a line and indented, as in docs/config.md",
    ],
    [
      { host: "storage" },
      'host: must be a map, but is "storage"',
      "write its keys below it, one a line and indented, as in docs/config.md",
    ],
    // The host
    [
      { host: { storageDir: "/srv" } },
      "host.uri: is missing",
      "write e.g. `qemu+ssh://root@storage/system`, or remove `host` for the embedded libvirt",
    ],
    [
      host({ uplink: false }),
      "host.uplink: is for the embedded libvirt alone, which has no `uri`, but is false",
      "remove it",
    ],
    [
      { host: { uplink: "no" } },
      'host.uplink: must be true or false, but is "no"',
      "write `true` or `false`, without quotes",
    ],
    [
      { host: { uplink: true, storageDir: "/srv" } },
      'host.storageDir: is not for the embedded libvirt, but is "/srv"',
      "remove it, or write the `uri` of a host of yours",
    ],
    [
      { host: { uplink: true, network: "lan" } },
      'host.network: is not for the embedded libvirt, but is "lan"',
      "remove it, or write the `uri` of a host of yours",
    ],
    [
      host({ uri: "storage" }),
      'host.uri: must be a libvirt URI, but is "storage"',
      "write e.g. `qemu:///system` or `qemu+ssh://root@storage/system`",
    ],
    [
      host({ uri: "qemu:/system" }),
      'host.uri: must be a libvirt URI, but is "qemu:/system"',
      "write e.g. `qemu:///system` or `qemu+ssh://root@storage/system`",
    ],
    [
      host({ uri: "xen:///system" }),
      'host.uri: must be a libvirt URI of QEMU, but is "xen:///system"',
      "write e.g. `qemu+ssh://root@storage/system`",
    ],
    [
      host({ uri: "qemu+telnet://storage/system" }),
      'host.uri: must have one of the transports ssh, libssh, libssh2, unix, tls, tcp, but is "qemu+telnet://storage/system"',
      "write e.g. `qemu+ssh://root@storage/system`",
    ],
    [
      host({ uri: "qemu:///session" }),
      'host.uri: must end in /system: a session of a single user cannot own networks, but is "qemu:///session"',
      "write e.g. `qemu+ssh://root@storage/system`",
    ],
    [
      host({ uri: "qemu+ssh:///system" }),
      'host.uri: must name a host for the transport ssh, but is "qemu+ssh:///system"',
      "write e.g. `qemu+ssh://root@storage/system`",
    ],
    [
      host({ uri: "qemu+ssh://root@storage/system?socket=/x%0AExecStartPre=/bin/id" }),
      'host.uri: must have no control characters (%00 to %1F, %7F) in its parameters, but is "qemu+ssh://root@storage/system?socket=/x%0AExecStartPre=/bin/id"',
      "write them without",
    ],
    [
      host({ uri: "qemu+ssh://root@storage/system?socket=/x&no_tty=1&socket=/run/libvirt/libvirt-sock" }),
      'host.uri: must have the parameter socket once, but is "qemu+ssh://root@storage/system?socket=/x&no_tty=1&socket=/run/libvirt/libvirt-sock"',
      "remove all but one of them",
    ],
    [
      host({ uri: "qemu+unix:///system?mode=direct;socket=/x" }),
      'host.uri: must have `&` between its parameters, not `;`, but is "qemu+unix:///system?mode=direct;socket=/x"',
      "write `&`; `%3B` for a `;` in a value",
    ],
    [
      host({ uri: "qemu+unix:///system?Socket=/x" }),
      'host.uri: must have its parameter Socket in small letters, but is "qemu+unix:///system?Socket=/x"',
      "write `socket`",
    ],
    [
      host({ uri: "qemu:///system?socket=/x';id;'" }),
      `host.uri: must have no quote (') in it, but is "qemu:///system?socket=/x';id;'"`,
      "write `%27` for it",
    ],
    [
      host({ uri: "qemu+ssh://root:hunter2@storage/system" }),
      "host.uri: must not hold a password (value not shown)",
      "log in with a key: `qemu+ssh://user@host/system`",
    ],
    [
      host({ uri: "qemu:///system\u0000" }),
      'host.uri: must have no control characters in it, but is "qemu:///system\\u0000"',
      "write it without, e.g. `qemu:///system`",
    ],
    [
      host({ uri: "\u0001qemu:///system" }),
      'host.uri: must have no control characters in it, but is "\\u0001qemu:///system"',
      "write it without, e.g. `qemu:///system`",
    ],
    ...["root@-oProxyCommand=x", "-oProxyCommand=x@storage", "root%20-v@storage", "$(x)@storage"].map(
      (login): [Record<string, unknown>, string, string] => [
        host({ uri: `qemu+ssh://${login}/system` }),
        `host.uri: must name a user and a host of letters, digits and any of \`.-_\`, but is "qemu+ssh://${login}/system"`,
        "name them otherwise: give the host a name of its own in ~/.ssh/config, and use that",
      ],
    ),
    [
      host({ storageDir: "/usr/" }),
      'host.storageDir: must be a folder for VMs, not one of the system\'s own, but is "/usr/"',
      "write e.g. `/var/lib/project-vms`",
    ],
    [
      host({ storageDir: "/home" }),
      'host.storageDir: must be a folder for VMs, not one of the system\'s own, but is "/home"',
      "write e.g. `/var/lib/project-vms`",
    ],
    [
      host({ storageDir: "vms" }),
      'host.storageDir: must be an absolute path, but is "vms"',
      "write the path on the host, e.g. `/var/lib/project-vms`",
    ],
    [
      host({ storageDir: "/srv/../vms" }),
      'host.storageDir: must not go by `.` or `..`, but is "/srv/../vms"',
      "write `/vms`",
    ],
    [
      host({ storageDir: "/" }),
      'host.storageDir: must not be the root itself, but is "/"',
      "write a folder, e.g. `/var/lib/project-vms`",
    ],
    [
      host({ virtualization: "emulate" }),
      'host.virtualization: must be one of auto, kvm, emulated, but is "emulate"',
      "write `emulated`",
    ],
    [
      host({ virtualization: "xen" }),
      'host.virtualization: must be one of auto, kvm, emulated, but is "xen"',
      "write `auto` or `kvm` or `emulated`",
    ],
    // The network
    [host({ network: 5 }), "host.network: must be text or a map, but is 5", "docs/config.md says what can stand here"],
    [
      host({ network: "-my/net " }),
      'host.network: must be the name of a libvirt network, without `/`, a `-` at its beginning and blanks at its ends, but is "-my/net "',
      "write e.g. `default` for a network that is there, or `{name: …, cidr: …}` for one of our own",
    ],
    [
      host({ network: { name: "my net" } }),
      'host.network.name: must be the name of a libvirt network: letters, digits, `-`, `_` and `.`, but is "my net"',
      "write e.g. `default` for a network that is there, or `{name: …, cidr: …}` for one of our own",
    ],
    [
      host({ network: { cidr: "10.77.0.0" } }),
      'host.network.cidr: must be an IPv4 network, but is "10.77.0.0"',
      "write address and prefix, e.g. `10.77.0.0/24`",
    ],
    [
      host({ network: { cidr: "10.77.0.256/24" } }),
      'host.network.cidr: must be an IPv4 network, but is "10.77.0.256/24"',
      "write address and prefix, e.g. `10.77.0.0/24`",
    ],
    [
      host({ network: { cidr: "10.77.0.0/31" } }),
      'host.network.cidr: must have a prefix from /8 to /29, but is "10.77.0.0/31"',
      "write e.g. `10.77.0.0/24`: room for 253 VMs",
    ],
    [
      host({ network: { cidr: "10.77.0.1/24" } }),
      'host.network.cidr: must be the network\'s own address, but is "10.77.0.1/24"',
      "write `10.77.0.0/24`",
    ],
    // The image
    [{ image: { kind: "iso" } }, 'image.kind: must be one of build, url, but is "iso"', "write `build` or `url`"],
    [{ image: { url: "https://images.example/a.qcow2" } }, "image.kind: is missing", "write `build` or `url`"],
    [
      { image: "build" },
      'image: must be a map, but is "build"',
      "write its keys below it, one a line and indented, as in docs/config.md",
    ],
    [
      { image: { kind: "url", url: "https://images.example/a.qcow2" } },
      "image.sha512: is missing: an image without digest is not used",
      "copy the image's line of the SHA512SUMS that is published beside it",
    ],
    [
      { image: { kind: "url", url: "https://images.example/a.qcow2", sha512: "abc" } },
      'image.sha512: must be a SHA-512: 128 hexadecimal digits (these are 3), but is "abc"',
      "copy the image's line of the SHA512SUMS that is published beside it",
    ],
    [
      { image: { kind: "url", url: "https://images.example/a.qcow2", sha512: "a".repeat(64) } },
      `image.sha512: must be a SHA-512: 128 hexadecimal digits (64 digits are a SHA-256), but is "${"a".repeat(64)}"`,
      "copy the image's line of the SHA512SUMS that is published beside it",
    ],
    [
      { image: { kind: "url", sha512: "a".repeat(128) } },
      "image.url: is missing",
      "write e.g. `https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2`",
    ],
    [
      { image: { kind: "url", url: "debian.qcow2", sha512: "a".repeat(128) } },
      'image.url: must be the URL of a qcow2 image, but is "debian.qcow2"',
      "write e.g. `https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2`; https, http and file will do",
    ],
    [
      { image: { kind: "url", url: "https://me:hunter2@images.example/a.qcow2", sha512: "a".repeat(128) } },
      "image.url: must not hold a password (value not shown)",
      "download the image and name it as `file:///…`, or serve it without a password",
    ],
    // SSH keys
    [
      { sshKeys: [] },
      "sshKeys: must not be empty, but is []",
      "list at least one, or remove the key to have its default",
    ],
    [
      { sshKeys: "ssh-ed25519 AAAA me" },
      "sshKeys: must be a list",
      "write the entries below it, one a line, each after `- `",
    ],
    [
      { sshKeys: ["ssh-ed25519 AAAA me"] },
      "sshKeys[0]: must be a whole key, but is cut off or damaged",
      "paste the whole line of a .pub file, e.g. of ~/.ssh/id_ed25519.pub",
    ],
    [
      { sshKeys: [privateKey] },
      "sshKeys[0]: must be a public key, but is a private key (not shown)",
      "paste the file that ends in .pub; if this stack file has left your machine, replace the key pair",
    ],
    // Names
    [
      { projects: { my_app: {} } },
      "projects.my_app: is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end",
      "write `my-app`",
    ],
    [
      { projects: { "my app": {} } },
      'projects["my app"]: is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end',
      "write `my-app`",
    ],
    [
      { projects: { ["a".repeat(56)]: {} } },
      `projects.${"a".repeat(56)}: is 56 characters long, at most 55 fit: domain and host name \`project-<name>\` have a limit of 63`,
      "choose a shorter name",
    ],
    [
      { projects: { MyApp: {}, myapp: {} } },
      "projects.MyApp: differs from `myapp` only in upper and lower case: both would have the host name `project-myapp`",
      "give one of them another name",
    ],
    [
      { projects: { base: {} } },
      "projects.base: is taken: base images or backups are kept under that name",
      "choose another name",
    ],
    [
      { projects: '{"__proto__":{}}' },
      "projects.__proto__: is not a DNS label: only a-z, 0-9 and `-`, no `-` at either end",
      "write `proto`",
    ],
  ])("%j", (config, fact, remedy) => {
    expect(messageOf(() => parse(config))).toBe(one(fact, remedy));
  });
});

describe("several mistakes", () => {
  it("come together, each with its place, the rule, the value and the remedy", () => {
    const run = () =>
      parse({
        projcts: {},
        host: { uri: "storage", network: { cidr: "10.0.0.0", vlan: 4 } },
        defaults: { memory: 8 },
        sshKeys: [privateKey, "me"],
        projects: { MyApp: { cpus: 0 }, myapp: { dsk: "1 GiB", memory: "0 GiB" }, my_app: null },
      });
    expect(messageOf(run)).toBe(`\
Pulumi.local.yaml has 12 mistakes. Nothing was created or changed.
  - Pulumi.local.yaml: host.uri: must be a libvirt URI, but is "storage"
    write e.g. \`qemu:///system\` or \`qemu+ssh://root@storage/system\`
  - Pulumi.local.yaml: host.network.cidr: must be an IPv4 network, but is "10.0.0.0"
    write address and prefix, e.g. \`10.77.0.0/24\`
  - Pulumi.local.yaml: host.network.vlan: is an unknown key
    known here: \`name\`, \`cidr\`
  - Pulumi.local.yaml: sshKeys[0]: must be a public key, but is a private key (not shown)
    paste the file that ends in .pub; if this stack file has left your machine, replace the key pair
  - Pulumi.local.yaml: sshKeys[1]: must begin with a key type
    paste the whole line of a .pub file, e.g. of ~/.ssh/id_ed25519.pub; known types: ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com
  - Pulumi.local.yaml: defaults.memory: must have a unit, but is 8
    write \`8 GiB\` if that is what you mean
  - Pulumi.local.yaml: projects.MyApp.cpus: must be at least 1, but is 0
    write a whole number without quotes, e.g. \`4\`
  - Pulumi.local.yaml: projects.myapp.memory: must be more than zero, but is "0 GiB"
    write a size such as \`8 GiB\`
  - Pulumi.local.yaml: projects.myapp.dsk: is an unknown key
    did you mean \`disk\`? ${vmKnown}
  - Pulumi.local.yaml: projcts: is an unknown key
    did you mean \`projects\`? (known here: \`host\`, \`image\`, \`sshKeys\`, \`tailnet\`, \`headscaleApiKey\`, \`defaults\`, \`projects\`)
  - Pulumi.local.yaml: projects.MyApp: differs from \`myapp\` only in upper and lower case: both would have the host name \`project-myapp\`
    give one of them another name
  - Pulumi.local.yaml: projects.my_app: is not a DNS label: only a-z, 0-9 and \`-\`, no \`-\` at either end
    write \`my-app\``);
  });

  it("are told with a log-in to the host that is an option of ssh's", () => {
    const config = { host: { uri: "qemu+ssh://root@-oProxyCommand=x/system" }, defaults: { cpus: 0 } };
    expect(messageOf(() => parse(config))).toMatch(
      /has 2 mistakes.*\n.*host\.uri: must name a user.*\n.*\n.*defaults\.cpus/,
    );
  });

  it("of a default are told once, where the default stands", () => {
    const run = () => parse({ defaults: { memory: 8 }, projects: { a: {}, b: {}, c: {} } });
    expect(messageOf(run)).toBe(
      one("defaults.memory: must have a unit, but is 8", "write `8 GiB` if that is what you mean"),
    );
  });

  it("are a UserError whose issues can be read one by one", () => {
    try {
      parse({ defaults: { cpus: 0 } });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).issues).toEqual([
        {
          path: "Pulumi.local.yaml: defaults.cpus",
          rule: "must be at least 1",
          value: 0,
          remedy: "write a whole number without quotes, e.g. `4`",
        },
      ]);
    }
  });
});

describe("a private key", () => {
  it.each<[string, Record<string, unknown>]>([
    ["in the list of keys", { sshKeys: [privateKey] }],
    ["in pieces, one a line", { sshKeys: privateKey.split("\n") }],
    ["in place of the list", { sshKeys: privateKey }],
    ["in place of the projects", { projects: privateKey }],
    ["in place of a project", { projects: { myapp: privateKey } }],
    ["as a setting", { projects: { myapp: { memory: privateKey } } }],
    ["below an unknown key", { projects: { myapp: { sshKey: privateKey } } }],
    ["as a project's name", { projects: { [privateKey]: {} } }],
    ["as an unknown key", { [privateKey.replaceAll(":", "")]: {} }],
    ["inside an object", { sshKeys: { mine: privateKey } }],
    ["as the host's URI", { host: { uri: privateKey } }],
  ])("is never shown: %s", (_, config) => {
    try {
      parse(config);
      expect.unreachable();
    } catch (error) {
      const { message, issues } = error as UserError;
      expect(message).toMatch(/^Pulumi\.local\.yaml has \d mistakes?\. /);
      expect(message + JSON.stringify(issues)).not.toMatch(/b3BlbnNzaC1rZXk|T0P-S3CR3T|BEGIN/i);
    }
  });
});
