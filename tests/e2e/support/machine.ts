import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { NamespaceProcess } from "./tailnet/namespace-process.ts";

const program = path.resolve(import.meta.dirname, "embedded-program.ts");

/** A web server on all addresses that says who it is. */
const web = (name: string) =>
  `require("node:http").createServer((_, answer) => answer.end(${JSON.stringify(name)})).listen(8080, "0.0.0.0")`;

/** The machine's public address, private one and the one that it gets later; all but the last are of ranges for documentation. */
export const addresses = {
  machine: "203.0.113.10",
  neighbour: "203.0.113.1",
  site: "198.51.100.80",
  later: "192.88.99.7",
};

/** Where a web server answers that is none of a guest's business: in the machine's private network, and in others' behind it. */
export const privateAddresses = [
  ...["10.9.0.1", "10.1.2.3", "172.16.1.1", "192.168.1.1", "100.64.0.1"],
  // Services of clouds.
  ...["169.254.169.254", "168.63.129.16"],
];

const resolver = "198.51.100.53";

/**
 * Two network namespaces, one for a machine with a web server, a private address and a resolver, one for all that it reaches: the
 * internet, with a web server and DNS, and private networks. Nothing outside is addressed.
 */
export class Machine {
  private readonly holders: NamespaceProcess[] = [];
  private readonly servers: NamespaceProcess[] = [];

  private readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** @param dir a folder of its own */
  static async start(dir: string): Promise<Machine> {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    writeFileSync(path.join(dir, "resolv.conf"), `nameserver ${resolver}\n`);
    const machine = new Machine(dir);
    const file = `"$(readlink -m /etc/resolv.conf)"`;
    await machine.hold(`mount --bind ${dir}/resolv.conf ${file}`);
    await machine.hold("true");
    await machine.connect();
    await machine.serve();
    return machine;
  }

  async remove(): Promise<void> {
    for (const process of [...this.servers, ...this.holders]) await process.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Runs a program on the machine. */
  run(...command: string[]) {
    return execa("nsenter", [...this.inside(0), ...command], { reject: false, all: true, stdin: "ignore" });
  }

  /** Starts a checkout's embedded host on the machine, removes it, or examines it as the doctor does. @returns what that said */
  async embeddedHost(verb: "start" | "remove" | "examine", checkout: string): Promise<string> {
    // A program that enters a mount namespace starts at its root.
    const node = ["env", `--chdir=${import.meta.dirname}`, process.execPath, "--import", "tsx/esm"];
    const { exitCode, all } = await this.run(...node, program, verb, checkout);
    if (exitCode !== 0) throw new Error(all);
    return all;
  }

  private inside(holder: 0 | 1): string[] {
    return [`--target=${this.holders[holder]?.pid}`, "--net", "--mount"];
  }

  private async hold(first: string): Promise<void> {
    const log = path.join(this.dir, `holder-${this.holders.length}`);
    const script = `ip link set lo up && ${first} && echo up && exec sleep infinity`;
    const holder = new NamespaceProcess("/proc/self/ns/net", ["unshare", "--net", "--mount", "sh", "-c", script], log);
    this.holders.push(holder);
    await holder.waitUntil("its namespaces", 10, async () => readFileSync(log, "utf8") === "up\n");
  }

  private async connect(): Promise<void> {
    const there = async (holder: 0 | 1, ...args: string[]) => execa("nsenter", [...this.inside(holder), "ip", ...args]);
    const internet = String(this.holders[1]?.pid);
    await there(0, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", internet);
    await there(0, "address", "add", `${addresses.machine}/24`, "dev", "eth0");
    await there(1, "address", "add", `${addresses.neighbour}/24`, "dev", "eth0");
    for (const holder of [0, 1] as const) await there(holder, "link", "set", "eth0", "up");
    await there(0, "route", "add", "default", "via", addresses.neighbour);
    const [own = "", ...others] = privateAddresses;
    await there(0, "address", "add", `${own}/24`, "dev", "lo");
    for (const address of [addresses.site, resolver, ...others]) {
      await there(1, "address", "add", `${address}/32`, "dev", "lo");
    }
  }

  private async serve(): Promise<void> {
    const dns = [
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--no-resolv",
      "--no-hosts",
      "--pid-file=",
    ];
    const names = [
      "--user=root",
      "--bind-interfaces",
      `--listen-address=${resolver}`,
      `--address=/site.example/${addresses.site}`,
    ];
    const commands: [0 | 1, string[]][] = [
      [0, [process.execPath, "-e", web("machine")]],
      [1, [process.execPath, "-e", web("internet")]],
      [1, [...dns, ...names]],
    ];
    for (const [holder, command] of commands) {
      const log = path.join(this.dir, `server-${this.servers.length}`);
      const netns = `/proc/${this.holders[holder]?.pid}/ns/net`;
      this.servers.push(new NamespaceProcess(netns, command, log));
    }
    const answers = async (address: string) => (await this.run("nc", "-z", "-w", "1", address, "8080")).exitCode === 0;
    const isUp = async () => (await answers("127.0.0.1")) && (await answers(addresses.site));
    await this.servers[1]?.waitUntil("both web servers", 30, isUp);
  }
}
