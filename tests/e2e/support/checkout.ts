import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa, type Result } from "execa";
import YAML from "yaml";
import { checkoutEnvironment, ensureSshKey, prepareCheckout } from "../../../src/checkout/checkout.ts";
import type { ProjectOutput } from "../../../src/checkout/outputs.ts";
import { stopEmbeddedHost, wipeEmbeddedHost } from "../../../src/embedded-host/embedded.ts";
import { reapOrphans } from "../../../src/engine/orphans.ts";
import { embeddedHostFor } from "../../../src/libvirt/embedded-layout.ts";
import { type Virsh, virshFor } from "../../../src/libvirt/virsh.ts";
import type { KeptDisk } from "../../../src/lifecycle/leftovers.ts";
import { cacheFolder } from "../../../toolchain/ensure/places.ts";
import { checkoutsFolder } from "../../setup/places.ts";

const repository = path.resolve(import.meta.dirname, "../../..");

/** What a checkout of its own has of its own; all else is the repository's, by link. */
const ownEntries = [".git", ".local", "Pulumi.yaml", "Pulumi.local.yaml", "index.js"];

/** The program of a checkout whose VMs are made but not started: for what needs no guest, and many rounds. */
const programOfVmsThatAreOff = `import { load } from "./bin/bundle.js";
const { stackProgram } = await load("index.ts");
export default () => stackProgram({ running: false });
`;

/**
 * A checkout with its own config, state and embedded host, in which `pulumi` and `make` run as a user would run them.
 * Its path is fixed, as {@link checkoutsFolder} says, so that what a run before left there is found and cleared away.
 */
export class Checkout {
  readonly dir: string;
  readonly host;
  readonly virsh: Virsh;

  constructor(name: string) {
    this.dir = path.join(checkoutsFolder(), name);
    this.host = embeddedHostFor(this.dir);
    this.virsh = virshFor(this.host.uri);
  }

  /**
   * Clears what an earlier run left, then lays the checkout again.
   * @param running whether its VMs are started when they are made
   */
  async create({ running = true } = {}): Promise<void> {
    await this.remove();
    mkdirSync(this.dir, { recursive: true });
    for (const entry of readdirSync(repository)) {
      if (!ownEntries.includes(entry)) symlinkSync(path.join(repository, entry), path.join(this.dir, entry));
    }
    cpSync(path.join(repository, "Pulumi.yaml"), path.join(this.dir, "Pulumi.yaml"));
    this.setProgram({ running });
    prepareCheckout(this.dir);
    await ensureSshKey(this.dir, () => undefined);
  }

  /** Gives it the program of every checkout, or one whose VMs are made but not started. */
  setProgram({ running }: { running: boolean }): void {
    const file = path.join(this.dir, "index.js");
    if (running) cpSync(path.join(repository, "index.js"), file);
    else writeFileSync(file, programOfVmsThatAreOff);
  }

  /** Stops the host, removes its disks and the checkout: nothing is left. */
  async remove(): Promise<void> {
    await stopEmbeddedHost(this.host, () => undefined);
    await wipeEmbeddedHost(this.host);
    // Plain `pulumi` leaves its plugins behind.
    reapOrphans(cacheFolder());
    rmSync(this.dir, { recursive: true, force: true });
  }

  /**
   * Sets the `project-vms:` part of the config of the stack `local`, and keeps what else is in the file. Its guests have no way
   * out: a test addresses nothing outside.
   */
  configure(config: Record<string, unknown>): void {
    const file = path.join(this.dir, "Pulumi.local.yaml");
    const there = existsSync(file) ? YAML.parse(readFileSync(file, "utf8")) : {};
    const others = Object.entries(there.config ?? {}).filter(([key]) => !key.startsWith("project-vms:"));
    const own = Object.entries({ host: { uplink: false }, ...config }).map(([key, value]) => [
      `project-vms:${key}`,
      value,
    ]);
    writeFileSync(file, YAML.stringify({ ...there, config: Object.fromEntries([...others, ...own]) }));
  }

  /** Runs `pulumi` on the stack `local`; never throws, the caller looks at exitCode and `all`. */
  pulumi(...args: string[]): Promise<Result & { all: string }> {
    return this.run("pulumi", [...args, "--stack", "local", "--non-interactive"]);
  }

  make(...args: string[]) {
    return this.run("make", args);
  }

  /** Runs a command in a project's guest, over SSH, by the configuration that the stack wrote. */
  async ssh(project: string, command: string, input?: string | Uint8Array): Promise<string> {
    const config = path.join(this.dir, ".local/ssh/local/config");
    const args = ["-F", config, "-o", "BatchMode=yes", `project-${project}`, command];
    const { stdout } = await execa("ssh", args, {
      ...(input === undefined ? { stdin: "ignore" } : { input }),
      timeout: 300_000,
    });
    return stdout;
  }

  async outputs(): Promise<{ projects: Record<string, ProjectOutput>; keptDisks: KeptDisk[]; instructions: string }> {
    return JSON.parse((await this.pulumi("stack", "output", "--json")).stdout as string);
  }

  private async run(program: string, args: string[]) {
    const options = {
      cwd: this.dir,
      all: true,
      reject: false,
      stdin: "ignore",
      env: checkoutEnvironment(this.dir),
    } as const;
    return (await execa(program, args, options)) as Result & { all: string };
  }
}
