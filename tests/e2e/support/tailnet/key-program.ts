import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa, type Result } from "execa";
import YAML from "yaml";

const repository = path.resolve(import.meta.dirname, "../../../..");

/** A program that makes keys, as a user would write it: what each is like comes from its config. */
const program = `
const pulumi = require("@pulumi/pulumi");
const tailscale = require("@pulumi/tailscale");
const keys = new pulumi.Config().requireObject("keys");
exports.keys = Object.fromEntries(
  Object.entries(keys).map(([name, args]) => [name, new tailscale.TailnetKey(name, args).key]),
);
`;

/** A small Pulumi program with a stack of its own, run by the real engine and its Tailscale plugin. */
export class KeyProgram {
  readonly dir: string;

  /** @param dir a folder of its own; what an earlier run left in it is cleared away */
  constructor(dir: string) {
    this.dir = dir;
    rmSync(dir, { recursive: true, force: true });
    for (const folder of ["state", "node_modules/@pulumi"]) mkdirSync(path.join(dir, folder), { recursive: true });
    for (const name of ["pulumi", "tailscale"]) {
      const modules = path.join("node_modules/@pulumi", name);
      symlinkSync(path.join(repository, modules), path.join(dir, modules));
    }
    this.write("Pulumi.yaml", YAML.stringify({ name: "keys", runtime: "nodejs" }));
    this.write("package.json", JSON.stringify({ name: "keys", main: "index.cjs" }));
    this.write("index.cjs", program);
  }

  /** Makes the stack; secrets are given as such and encrypted. */
  async init(config: Record<string, string>, secrets: Record<string, string>): Promise<void> {
    const all = [
      ...Object.entries(config).map(([key, value]) => ["--plaintext", `${key}=${value}`]),
      ...Object.entries(secrets).map(([key, value]) => ["--secret", `${key}=${value}`]),
    ].flat();
    await this.mustRun("stack", "init", "test");
    await this.mustRun("config", "set-all", "--stack", "test", ...all);
  }

  /** The keys that the program makes from now on, with the inputs of TailnetKey. */
  async setKeys(keys: Record<string, object>): Promise<void> {
    await this.mustRun("config", "set", "--stack", "test", "keys", JSON.stringify(keys));
  }

  /** Runs `pulumi` on the stack; never throws, the caller looks at exitCode and `all`. */
  async pulumi(...args: string[]): Promise<Result & { all: string }> {
    const options = { cwd: this.dir, env: this.environment, all: true, reject: false, stdin: "ignore" } as const;
    return (await execa("pulumi", [...args, "--non-interactive"], options)) as Result & { all: string };
  }

  /** `pulumi up`; its output, whether it went well or not. */
  async up(...args: string[]): Promise<{ ok: boolean; all: string }> {
    const { exitCode, all } = await this.pulumi("up", "--stack", "test", "--yes", "--skip-preview", ...args);
    return { ok: exitCode === 0, all };
  }

  /** The keys by their names, in clear. */
  async keys(): Promise<Record<string, string>> {
    const { stdout } = await this.pulumi("stack", "output", "keys", "--json", "--show-secrets", "--stack", "test");
    return JSON.parse(stdout as string);
  }

  /** The state file as it is. */
  get state(): string {
    return readFileSync(path.join(this.dir, "state/.pulumi/stacks/keys/test.json"), "utf8");
  }

  private get environment() {
    return { PULUMI_BACKEND_URL: `file://${this.dir}/state?metadata=skip`, PULUMI_CONFIG_PASSPHRASE: "test" };
  }

  private async mustRun(...args: string[]): Promise<void> {
    const { exitCode, all } = await this.pulumi(...args);
    if (exitCode !== 0) throw new Error(`pulumi ${args[0]} ${args[1]}: ${all}`);
  }

  private write(name: string, content: string): void {
    writeFileSync(path.join(this.dir, name), content);
  }
}
