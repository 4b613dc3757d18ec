import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import YAML from "yaml";
import { checkoutEnvironment } from "../../../src/checkout/checkout.ts";
import type { Checkout } from "./checkout.ts";
import type { Ran, Workstation } from "./remote-workstation.ts";

/** A stack of a checkout by its name, with a config of its own; worked on from this machine or from another. */
export class NamedStack {
  private readonly file: string;

  private readonly checkout: Checkout;
  readonly name: string;
  private readonly workstation: Workstation | undefined;

  constructor(checkout: Checkout, name: string, workstation?: Workstation) {
    this.checkout = checkout;
    this.name = name;
    this.workstation = workstation;
    this.file = path.join(checkout.dir, `Pulumi.${name}.yaml`);
  }

  /** Makes it, in place of any example of that name. */
  async init(config: Record<string, unknown>): Promise<void> {
    rmSync(this.file, { force: true });
    this.configure(config);
    const { exitCode, all } = await this.pulumi("stack", "init");
    if (exitCode !== 0) throw new Error(all);
  }

  /** Sets the `project-vms:` part of its config, and keeps what else is in the file. */
  configure(config: Record<string, unknown>): void {
    const there = existsSync(this.file) ? YAML.parse(readFileSync(this.file, "utf8")) : {};
    const own = Object.entries(config).map(([key, value]) => [`project-vms:${key}`, value]);
    writeFileSync(this.file, YAML.stringify({ ...there, config: Object.fromEntries(own) }));
  }

  /** Runs `pulumi` on it; never throws, the caller looks at exitCode and `all`. */
  async pulumi(...args: string[]): Promise<Ran> {
    return this.run({}, ...args);
  }

  /** The same with environment variables beside those of every checkout. */
  async run(variables: Record<string, string>, ...args: string[]): Promise<Ran> {
    const command = ["pulumi", ...args, "--stack", this.name, "--non-interactive"];
    const options = { cwd: this.checkout.dir, env: { ...checkoutEnvironment(this.checkout.dir), ...variables } };
    if (this.workstation) return this.workstation.run(command, options);
    const [program = "", ...rest] = command;
    return (await execa(program, rest, { ...options, all: true, reject: false, stdin: "ignore" })) as Ran;
  }

  /** What its state says of everything that is outside of it: no components, no providers. */
  async resources(): Promise<Pick<Resource, "urn" | "id" | "inputs">[]> {
    const { stdout } = await this.pulumi("stack", "export", "--show-secrets");
    const { resources = [] } = JSON.parse(String(stdout)).deployment as { resources?: Resource[] };
    return resources
      .filter(({ custom, type }) => custom && !type.startsWith("pulumi:"))
      .map(({ urn, id, inputs }) => ({ urn, id, inputs }))
      .sort((a, b) => a.urn.localeCompare(b.urn));
  }
}

interface Resource {
  urn: string;
  type: string;
  custom: boolean;
  id: string;
  inputs: unknown;
}
