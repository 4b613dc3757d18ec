import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { shellWord } from "../../../../src/core/shell-word.ts";
import { withPasswd, writePasswd } from "../own-passwd.ts";
import { NamespaceProcess } from "./namespace-process.ts";
import type { Tailnet } from "./tailnet.ts";

/** Seconds for tailscaled to listen, for a login, and for a node to be heard of by the others. */
const limits = { start: 20, up: 60, reach: 60 };

/**
 * A node of a tailnet: a tailscaled in the tailnet's network namespace, with networking of its own in user space, so
 * that many fit into one namespace (45 MB each) and none changes anything of the machine's.
 */
export class TailscaleNode {
  readonly name: string;
  private readonly tailnet: Tailnet;
  private readonly dir: string;
  private process: NamespaceProcess | undefined;

  private constructor(tailnet: Tailnet, name: string) {
    this.name = name;
    this.tailnet = tailnet;
    this.dir = join(tailnet.dir, "nodes", name);
    rmSync(this.dir, { recursive: true, force: true });
    mkdirSync(this.home, { recursive: true, mode: 0o700 });
    writePasswd(this.passwd, this.home);
  }

  /**
   * Starts a node; it belongs to no tailnet yet.
   *
   * @param name its host name, two characters at least: headscale takes no shorter one
   */
  static async start(tailnet: Tailnet, name: string): Promise<TailscaleNode> {
    const node = new TailscaleNode(tailnet, name);
    await node.boot();
    return node;
  }

  /** Starts it again after {@link stop}, with all that it knew: one that had joined is in the tailnet again. */
  async boot(): Promise<void> {
    const { netns, programs } = this.tailnet;
    const args = ["--tun=userspace-networking", `--statedir=${this.dir}`, `--socket=${this.socket}`, "--port=0"];
    // Whom it lets in by Tailscale SSH is at home in a folder of its own.
    const command = withPasswd(this.passwd, [programs.tailscaled, ...args, "--no-logs-no-support"]);
    // headscale's relay is there without TLS; its logs would be in /var/lib/tailscale also with a --statedir.
    const environment = { TS_DEBUG_USE_DERP_HTTP: "1", TS_LOGS_DIR: this.dir, HOME: this.home };
    this.process = new NamespaceProcess(netns, command, join(this.dir, "tailscaled.log"), environment);
    const isUp = () =>
      this.run("status", "--json").then(
        () => true,
        () => false,
      );
    await this.process.waitUntil("listens", limits.start, isUp).catch(async (error) => {
      await this.stop();
      throw error;
    });
  }

  /**
   * Joins the tailnet.
   *
   * @param key goes by a file, as no secret may be in a command line
   * @param options.ssh whether one may log in to it by Tailscale SSH: as a user of this machine
   */
  async up(key: string, options: { ssh?: boolean } = {}): Promise<void> {
    const file = join(this.dir, "key");
    writeFileSync(file, key, { mode: 0o600 });
    const args = [`--login-server=${this.tailnet.loginServer}`, `--auth-key=file:${file}`, `--hostname=${this.name}`];
    try {
      await this.run("up", ...args, ...(options.ssh ? ["--ssh"] : []), `--timeout=${limits.up}s`);
    } finally {
      rmSync(file);
    }
  }

  /** Its address in the tailnet. */
  async ip(): Promise<string> {
    return (await this.run("ip", "-4")).trim();
  }

  /** Its state as `tailscale status --json` has it. */
  async status(): Promise<{ BackendState: string; Self: { DNSName: string; Tags?: string[] } }> {
    return JSON.parse(await this.run("status", "--json"));
  }

  /**
   * Pings another node by its name, through the tailnet.
   *
   * @returns what tailscale says of the answer: "pong from project-web (100.64.0.1) via 10.77.0.1:41234 in 1ms"
   * @throws Error if there is no answer, also because nobody has that name
   */
  async ping(name: string): Promise<string> {
    const end = Date.now() + limits.reach * 1000;
    for (;;) {
      try {
        const said = await this.run("ping", "--c=1", "--timeout=5s", "--until-direct=false", name);
        return said.trim();
      } catch (error) {
        // Nodes hear of each other a moment after a login.
        if (Date.now() > end) throw error;
        await sleep(100);
      }
    }
  }

  /** Runs a command on another node by its name, over Tailscale SSH. */
  ssh(target: string, command: string): Promise<string> {
    return this.run("ssh", target, command);
  }

  /** Leaves for now; the tailnet remembers it. */
  async down(): Promise<void> {
    await this.run("down");
  }

  /** Ends the process. The tailnet remembers the node. */
  async stop(): Promise<void> {
    await this.process?.stop();
  }

  /** Runs `tailscale` on this node. @returns what it prints */
  async run(...args: string[]): Promise<string> {
    const { stdout } = await execa("nsenter", [...this.command, ...args], { stdin: "ignore", timeout: 120_000 });
    return stdout;
  }

  /** Runs a shell's script that has this node as its machine's. @param input goes to its standard input */
  async sh(script: string, args: string[], input: string): Promise<void> {
    const programs = join(this.dir, "bin");
    mkdirSync(programs, { recursive: true });
    const words = ["nsenter", ...this.command].map(shellWord);
    writeFileSync(join(programs, "tailscale"), `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`, { mode: 0o755 });
    const env = { PATH: `${programs}:${process.env.PATH}` };
    await execa("/bin/sh", ["-c", script, ...args], { env, input, timeout: 180_000 });
  }

  private get command(): string[] {
    return [`--net=${this.tailnet.netns}`, "--", this.tailnet.programs.tailscale, `--socket=${this.socket}`];
  }

  private get home(): string {
    return join(this.dir, "home");
  }

  private get passwd(): string {
    return join(this.dir, "passwd");
  }

  private get socket(): string {
    return join(this.dir, "sock");
  }
}
