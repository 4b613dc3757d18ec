import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import YAML from "yaml";
import { Gateway } from "./gateway.ts";
import { HeadscaleAdmin, type KeyWish, type PreAuthKey } from "./headscale-admin.ts";
import { headscaleConfig, headscalePolicy, headscalePort, type Policy } from "./headscale-config.ts";
import { NamespaceProcess } from "./namespace-process.ts";
import { type TailnetPrograms, tailnetPrograms } from "./programs.ts";

/** What a {@link Tailnet} is made from. */
export interface TailnetOptions {
  /** The network namespace that it lives in: an embedded host's. */
  netns: string;
  /** A folder of its own; what an earlier run left in it is cleared away. */
  dir: string;
  /** @default "tailnet.test" */
  domain?: string;
  /** @default `tag:project-vm` and `tag:client`; from nodes with the latter one may log in to those with the former */
  policy?: Policy;
}

const defaultPolicy: Policy = {
  tags: ["tag:project-vm", "tag:client"],
  sshFrom: "tag:client",
  sshTo: "tag:project-vm",
  sshUsers: ["autogroup:nonroot", "root"],
};

/** The headscale user whom all nodes belong to. */
const user = "tests";

/**
 * Where headscale is, and what has that address: neither is a libvirt network's, which goes with the stack that made it.
 * Guests reach it as they reach whatever is beyond their host. It is a private address, for to others tailscaled insists on
 * TLS once it had to connect a second time.
 */
const uplink = { nic: "tailnet0", address: "10.99.0.1" };

/** Seconds for headscale to answer. */
const startLimit = 30;

/**
 * A tailnet of its own: a real headscale inside a network namespace, that nothing outside is asked by.
 *
 * @example
 * const tailnet = await Tailnet.start({ netns: host.netns, dir });
 * const key = await tailnet.createKey({ tags: ["tag:project-vm"] });
 */
export class Tailnet {
  readonly netns: string;
  readonly dir: string;
  readonly domain: string;
  readonly programs: TailnetPrograms;
  /** What nodes log in to: `tailscale up --login-server`. */
  readonly loginServer: string;
  private process: NamespaceProcess;
  private readonly gateway: Gateway;
  private connection: { admin: HeadscaleAdmin; userId: string } | undefined;

  private constructor(options: TailnetOptions, programs: TailnetPrograms, gateway: Gateway) {
    this.netns = options.netns;
    this.dir = options.dir;
    this.domain = options.domain ?? "tailnet.test";
    this.programs = programs;
    this.loginServer = `http://${uplink.address}:${headscalePort}`;
    this.gateway = gateway;
    rmSync(this.dir, { recursive: true, force: true });
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    const config = headscaleConfig({ dir: this.dir, address: uplink.address, domain: this.domain });
    writeFileSync(this.configFile, YAML.stringify(config), { mode: 0o600 });
    const policy = headscalePolicy(options.policy ?? defaultPolicy, user);
    writeFileSync(join(this.dir, "policy.json"), JSON.stringify(policy), { mode: 0o600 });
    this.process = this.serve();
  }

  /** Starts headscale and waits until it answers. The programs are built first if they are not there. */
  static async start(options: TailnetOptions, log: (line: string) => void = () => {}): Promise<Tailnet> {
    const programs = await tailnetPrograms(log);
    await connectUplink(options.netns);
    const gateway = await Gateway.open(options.netns, uplink.address, headscalePort);
    const tailnet = new Tailnet(options, programs, gateway);
    try {
      await tailnet.answers();
      await tailnet.connect();
    } catch (error) {
      await tailnet.stop();
      throw error;
    }
    return tailnet;
  }

  /** Ends headscale as an outage does: nodes go on without, nobody can join. {@link resume} ends the outage. */
  async halt(): Promise<void> {
    await this.process.stop();
  }

  /** Starts headscale again, with all that it knew. */
  async resume(): Promise<void> {
    this.process = this.serve();
    await this.answers();
  }

  /** headscale's REST API as it is reached from this machine; inside the namespace it is at {@link loginServer}. */
  get admin(): HeadscaleAdmin {
    return this.connected.admin;
  }

  /** The id of the headscale user whom all nodes belong to. */
  get userId(): string {
    return this.connected.userId;
  }

  /** The name of that user. */
  get userName(): string {
    return user;
  }

  /** A key with which a node joins. */
  createKey(wish: KeyWish = {}): Promise<PreAuthKey> {
    return this.admin.createKey(this.userId, wish);
  }

  /** Ends headscale and the way to it, for good. */
  async stop(): Promise<void> {
    this.gateway.close();
    await this.process.stop();
  }

  private get connected() {
    if (this.connection === undefined) throw new Error("headscale has not answered yet");
    return this.connection;
  }

  private get configFile(): string {
    return join(this.dir, "config.yaml");
  }

  private serve(): NamespaceProcess {
    const command = [this.programs.headscale, "--config", this.configFile, "serve"];
    return new NamespaceProcess(this.netns, command, join(this.dir, "headscale.log"));
  }

  private answers(): Promise<void> {
    return this.process.waitUntil("answers", startLimit, () =>
      fetch(`${this.gateway.url}/health`, { signal: AbortSignal.timeout(2000) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  }

  private async connect(): Promise<void> {
    const args = ["--config", this.configFile, "apikeys", "create", "--expiration", "24h", "--output", "json"];
    const { stdout } = await execa(this.programs.headscale, args);
    const admin = new HeadscaleAdmin(this.gateway.url, JSON.parse(stdout));
    this.connection = { admin, userId: await admin.createUser(user) };
  }
}

/** A bridge without a port: of all that has an address and can be made, only that is in every kernel that has libvirt's. */
async function connectUplink(netns: string): Promise<void> {
  const ip = (...args: string[]) => execa("nsenter", [`--net=${netns}`, "--", "ip", ...args]);
  const there = await ip("link", "show", uplink.nic).catch(() => undefined);
  if (there) return;
  await ip("link", "add", uplink.nic, "type", "bridge");
  await ip("address", "add", `${uplink.address}/32`, "dev", uplink.nic);
  await ip("link", "set", uplink.nic, "up");
}
