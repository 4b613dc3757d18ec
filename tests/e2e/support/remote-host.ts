import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";
import { writePasswd } from "./own-passwd.ts";
import { librariesBelow, sshdRoot } from "./remote-sshd-program.ts";
import type { Workstation } from "./remote-workstation.ts";
import { NamespaceProcess } from "./tailnet/namespace-process.ts";

/** Of the range that is kept for documentation. */
const addresses = { workstation: "192.0.2.1", host: "192.0.2.2" };

/** As many as a server has, so that its client has to choose. */
const hostKeyTypes = ["ed25519", "ecdsa", "rsa"];

/** The host's end of the cable. */
const nic = "remote1";

/**
 * In a mount namespace of its own: the libvirt is where a host has it, and the server has the folder and the user that it
 * gives up its rights in. Root is at home in a folder of the test's.
 */
const insideScript = `
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd /run/libvirt
mount --bind "$1" /run/libvirt
cp "$5" /run/passwd
getent passwd sshd >/dev/null || echo "sshd:x:64054:65534::/run/sshd:/usr/sbin/nologin" >>/run/passwd
mount --bind /run/passwd /etc/passwd
mount --bind "$2usr/lib/openssh" /usr/lib/openssh
LD_LIBRARY_PATH=$3 exec "$2usr/sbin/sshd" -D -e -f "$4"`;

/**
 * An embedded host as one that is elsewhere: a real OpenSSH server in its network namespace, behind a cable from a workstation.
 * There it is known as `storage`, logs root in by key, and its libvirt is `qemu+ssh://root@storage/system`.
 */
export class RemoteHost {
  readonly address = addresses.host;
  private readonly sshd: { root: string; config: string; log: string };
  private server: NamespaceProcess | undefined;

  private readonly host: EmbeddedHost;
  private readonly dir: string;

  private constructor(host: EmbeddedHost, dir: string, root: string) {
    this.host = host;
    this.dir = dir;
    this.sshd = { root: path.join(root, "/"), config: path.join(dir, "sshd_config"), log: path.join(dir, "log") };
  }

  /**
   * @param host that runs
   * @param dir a folder of its own; what an earlier run left in it is cleared away
   */
  static async start(host: EmbeddedHost, dir: string, workstation: Workstation): Promise<RemoteHost> {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const remote = new RemoteHost(host, dir, await sshdRoot(console.error));
    await remote.connect(workstation);
    for (const type of hostKeyTypes) await makeKey(path.join(dir, `host_${type}`), type);
    await makeKey(path.join(dir, "host_other"), "ed25519");
    writeFileSync(remote.sshd.config, remote.sshdConfig());
    workstation.know(addresses.host, "storage");
    await remote.start();
    return remote;
  }

  /** Starts its SSH server, and waits until it listens. */
  async start(): Promise<void> {
    const { root, config, log } = this.sshd;
    const libraries = librariesBelow(root).join(":");
    const inside = [
      "unshare",
      "--mount",
      "sh",
      "-ec",
      insideScript,
      "sh",
      path.join(this.host.dir, "run/libvirt"),
      root,
    ];
    const home = path.join(this.dir, "home");
    const passwd = path.join(this.dir, "passwd");
    mkdirSync(home, { recursive: true, mode: 0o700 });
    writePasswd(passwd, home);
    writeFileSync(log, "");
    this.server = new NamespaceProcess(this.host.netns, [...inside, libraries, config, passwd], log);
    await this.server.waitUntil("listening", 10, async () => this.log.includes("Server listening"));
  }

  /** Ends its SSH server: a log-in is refused. */
  async stop(): Promise<void> {
    await this.server?.stop();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Lets nothing in any more, without a word, or lets all in again: as when it is off, or a firewall is in between. */
  async silence(silent: boolean): Promise<void> {
    await inNetwork(this.host.netns, "iptables", silent ? "-I" : "-D", "INPUT", "-i", nic, "-j", "DROP");
  }

  /** Makes a private key that logs in, and its public half beside it. */
  async makeLogin(file: string): Promise<void> {
    await makeKey(file, "ed25519");
    writeFileSync(path.join(this.dir, "authorized_keys"), readFileSync(`${file}.pub`), { flag: "a" });
  }

  /** What known_hosts has of it, with its own key or with one that is not. */
  knownAs(name: string, key: "its own" | "another" = "its own"): string {
    const file = key === "its own" ? "host_ed25519" : "host_other";
    const [type, blob] = readFileSync(path.join(this.dir, `${file}.pub`), "utf8").split(" ");
    return `${name} ${type} ${blob}\n`;
  }

  /** What its SSH server says since it was started. */
  get log(): string {
    return readFileSync(this.sshd.log, "utf8");
  }

  private async connect(workstation: Workstation): Promise<void> {
    const cable = ["link", "add", "remote0", "type", "veth", "peer", "name", nic];
    await inNetwork(workstation.netns, "ip", ...cable);
    await inNetwork(workstation.netns, "ip", "link", "set", nic, "netns", this.host.netns);
    const ends = [
      { netns: workstation.netns, end: "remote0", address: addresses.workstation },
      { netns: this.host.netns, end: nic, address: addresses.host },
    ];
    for (const { netns, end, address } of ends) {
      await inNetwork(netns, "ip", "address", "add", `${address}/30`, "dev", end);
      await inNetwork(netns, "ip", "link", "set", end, "up");
    }
  }

  private sshdConfig(): string {
    const hostKeys = hostKeyTypes.map((type) => `HostKey ${this.dir}/host_${type}`);
    return [
      ...[22, 2222].map((port) => `ListenAddress ${addresses.host}:${port}`),
      ...hostKeys,
      `AuthorizedKeysFile ${this.dir}/authorized_keys`,
      "AuthenticationMethods publickey",
      // Far below the usual 10:30:100, so that it happens here: half of the fourth to 20th log-in at once is turned away.
      "MaxStartups 3:50:20",
      // Its folder is below one that everybody may write to.
      "StrictModes no",
      "PidFile none",
      "LogLevel VERBOSE",
      "",
    ].join("\n");
  }
}

/** Makes a private key without a passphrase, and its public half beside it. */
export async function makeKey(file: string, type: string): Promise<void> {
  await execa("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "", "-f", file]);
}

function inNetwork(netns: string, ...command: string[]) {
  return execa("nsenter", [`--net=${netns}`, ...command]);
}
