import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import type { EmbeddedHost } from "../../../src/libvirt/embedded-layout.ts";
import { NamespaceProcess } from "./tailnet/namespace-process.ts";

const sniffer = path.resolve(import.meta.dirname, "sniff.pl");

/** On a network of an embedded host, in place of a second VM: a network namespace at a port of the bridge, which hears all. */
export class Neighbour {
  private readonly holder: NamespaceProcess;
  private sniffer: NamespaceProcess | undefined;

  private readonly dir: string;

  private constructor(host: EmbeddedHost, dir: string) {
    this.dir = dir;
    const script = "ip link set lo up && mount -t sysfs sysfs /sys && echo up && exec sleep infinity";
    const command = ["unshare", "--net", "--mount", "sh", "-c", script];
    this.holder = new NamespaceProcess(host.netns, command, path.join(dir, "holder"));
  }

  /**
   * @param dir a folder of its own
   * @param address with its prefix
   */
  static async start(host: EmbeddedHost, dir: string, bridge: string, address: string): Promise<Neighbour> {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    const neighbour = new Neighbour(host, dir);
    const isUp = async () => readFileSync(path.join(dir, "holder"), "utf8") === "up\n";
    await neighbour.holder.waitUntil("its network namespace", 10, isUp);
    const there = (...args: string[]) => execa("nsenter", [`--net=${host.netns}`, "ip", ...args]);
    const pid = String(neighbour.holder.pid);
    await there("link", "add", "neighbour", "type", "veth", "peer", "name", "eth0", "netns", pid);
    await there("link", "set", "neighbour", "master", bridge, "up");
    await neighbour.run("ip", "address", "add", address, "dev", "eth0");
    await neighbour.run("ip", "link", "set", "eth0", "up");
    return neighbour;
  }

  async remove(): Promise<void> {
    await this.sniffer?.stop();
    await this.holder.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Runs a program there. Never throws. */
  run(program: string, ...args: string[]) {
    return execa("nsenter", [`--target=${this.holder.pid}`, "--net", "--mount", program, ...args], {
      reject: false,
      all: true,
      stdin: "ignore",
    });
  }

  /** Whether a TCP port answers. */
  async reaches(address: string, port: number): Promise<boolean> {
    return (await this.run("nc", "-z", "-w", "5", address, String(port))).exitCode === 0;
  }

  /** What the marks of the frames say that it hears while something is done. */
  async hears(round: string, action: () => Promise<unknown>): Promise<string[]> {
    const log = path.join(this.dir, round);
    const inside = `/proc/${this.holder.pid}/ns/net`;
    const mounts = ["nsenter", `--mount=/proc/${this.holder.pid}/ns/mnt`, "perl", sniffer, "eth0"];
    this.sniffer = new NamespaceProcess(inside, mounts, log);
    await this.sniffer.waitUntil("to listen", 10, async () => readFileSync(log, "utf8").startsWith("listening"));
    await action();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await this.sniffer.stop();
    const marks = readFileSync(log, "utf8").matchAll(new RegExp(`^${round}:(.*)$`, "gm"));
    return [...new Set([...marks].map(([, name = ""]) => name))];
  }
}
