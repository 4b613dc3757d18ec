import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa, type Options, type Result } from "execa";
import { withoutOwnSsh } from "../../setup/home.ts";
import { writePasswd } from "./own-passwd.ts";
import { NamespaceProcess } from "./tailnet/namespace-process.ts";

/** In a mount namespace of its own: what a program takes for the machine's list of users and of hosts. */
const insideScript = `
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/hosts" /etc/hosts
shift
exec "$@"`;

/** What a program printed, and how it ended. */
export type Ran = Result & { all: string };

/**
 * A machine to work from: a network namespace from which nothing is reached but what is put into it, and a home folder in
 * which nothing of the user's is. Programs are this machine's.
 */
export class Workstation {
  readonly home: string;
  private readonly dir: string;
  private readonly holder: NamespaceProcess;
  private readonly agents: NamespaceProcess[] = [];

  private constructor(dir: string) {
    this.dir = dir;
    this.home = path.join(dir, "home");
    const script = "ip link set lo up && echo up && exec sleep infinity";
    this.holder = new NamespaceProcess("/proc/self/ns/net", ["unshare", "--net", "sh", "-c", script], this.logFile);
  }

  /** @param dir a folder of its own; what an earlier run left in it is cleared away */
  static async start(dir: string): Promise<Workstation> {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const workstation = new Workstation(dir);
    workstation.clearSsh();
    writePasswd(path.join(dir, "passwd"), workstation.home);
    workstation.know("127.0.0.1", "localhost");
    const isUp = async () => readFileSync(workstation.logFile, "utf8") === "up\n";
    await workstation.holder.waitUntil("its network namespace", 10, isUp);
    return workstation;
  }

  async remove(): Promise<void> {
    for (const process of [...this.agents, this.holder]) await process.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Its network namespace, while it lasts. */
  get netns(): string {
    return `/proc/${this.holder.pid}/ns/net`;
  }

  /** Gives an address a name. */
  know(address: string, name: string): void {
    writeFileSync(path.join(this.dir, "hosts"), `${address} ${name}\n`, { flag: "a" });
  }

  /** Empties its `~/.ssh`. */
  clearSsh(): void {
    rmSync(this.ssh(""), { recursive: true, force: true });
    mkdirSync(this.ssh(""), { recursive: true, mode: 0o700 });
  }

  /** Writes a file of its `~/.ssh`, readable by its user alone. */
  writeSsh(name: string, text: string): void {
    writeFileSync(this.ssh(name), text, { mode: 0o600 });
  }

  /** The path of a file of its `~/.ssh`. */
  ssh(name: string): string {
    return path.join(this.home, ".ssh", name);
  }

  /** Starts an SSH agent. @returns the environment under which programs find it */
  async startAgent(...keyFiles: string[]): Promise<Record<string, string>> {
    const SSH_AUTH_SOCK = path.join(this.dir, `agent-${this.agents.length}`);
    const agent = new NamespaceProcess(this.netns, ["ssh-agent", "-D", "-a", SSH_AUTH_SOCK], this.logFile);
    this.agents.push(agent);
    await agent.waitUntil("its socket", 10, async () => existsSync(SSH_AUTH_SOCK));
    for (const file of keyFiles) {
      const { exitCode, all } = await this.run(["ssh-add", file], { env: { SSH_AUTH_SOCK } });
      if (exitCode !== 0) throw new Error(all);
    }
    return { SSH_AUTH_SOCK };
  }

  /** Runs a program there; never throws, the caller looks at exitCode and `all`. */
  async run(
    [program = "", ...args]: string[],
    options: { cwd?: string; env?: Record<string, string | undefined> } = {},
  ): Promise<Ran> {
    const { SSH_AUTH_SOCK: _, ...environment } = process.env;
    const inside = [`--net=${this.netns}`, "unshare", "--mount", "sh", "-ec", insideScript, "sh", this.dir];
    const all: Options = {
      ...options,
      extendEnv: false,
      // Its ssh is the machine's, which finds the workstation's home by itself.
      env: { ...withoutOwnSsh(environment), HOME: this.home, ...options.env },
      all: true,
      reject: false,
      stdin: "ignore",
    };
    return (await execa("nsenter", [...inside, program, ...args], all)) as Ran;
  }

  private get logFile(): string {
    return path.join(this.dir, "log");
  }
}
