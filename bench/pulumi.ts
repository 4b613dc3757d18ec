import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import YAML from "yaml";
import { MiB, type SizeText } from "../src/core/sizes.ts";
import { command } from "./command.ts";
import type { Contender } from "./contender.ts";
import type { BenchHost } from "./host.ts";
import type { ProgramRequest, ProgramTimes } from "./program/request.ts";
import { ours } from "./report.ts";
import { owner, sizes, type Workload } from "./workload.ts";

const repository = path.join(import.meta.dirname, "..");

/** What the stack's folder has by link: node_modules shows the engine which plugins are needed, bin is in the node options. */
const links = ["package.json", "node_modules", "bin"];

/** As the repository's own index.js: from a bundle. */
const program = `import { load } from ${JSON.stringify(path.join(repository, "bin/bundle.js"))};
export default (await load("bench/program/index.ts")).default;
`;

/** Where the time of one command of the engine's went, in seconds. */
export interface EngineTimes {
  /** Until Node runs the program. */
  start: number;
  /** Until the program's modules are loaded. */
  load: number;
  /** The look at the host. */
  look: number;
  /** Until the program ends: all resources are there. */
  resources: number;
  /** Until the command ends. */
  end: number;
}

/** Our components through the real engine: a stack of the bench's own, with a state of its own. */
export class PulumiContender implements Contender {
  readonly name = ours;
  /** Of the last command that ran the program. */
  times: EngineTimes | undefined;
  private workload!: Workload;
  private dir!: string;

  private readonly host: BenchHost;

  constructor(host: BenchHost) {
    this.host = host;
  }

  async prepare(workload: Workload): Promise<void> {
    this.workload = workload;
    this.dir = await this.host.workDir(this.name);
    for (const name of links) await symlink(path.join(repository, name), path.join(this.dir, name));
    await writeFile(path.join(this.dir, "index.js"), program);
    await writeFile(path.join(this.dir, "Pulumi.yaml"), YAML.stringify(await projectFile(this.dir)));
    await this.pulumi([], "stack", "init", owner);
    await mkdir(this.checkout);
    await writeFile(path.join(this.checkout, "Pulumi.yaml"), "name: project-vms\n");
  }

  /** Without the preview, as `make up` does it and as terraform does it: one run of the program. */
  async apply(vms: readonly string[]): Promise<void> {
    await this.timed(vms, "up", "--yes", "--skip-preview", "--suppress-outputs");
  }

  async preview(vms: readonly string[]): Promise<void> {
    await this.timed(vms, "preview", "--expect-no-changes", "--suppress-outputs");
  }

  /** By `project-vm`, whose first start since its sources changed makes its bundle: that is in the round that does not count. */
  async list(vms: readonly string[]): Promise<void> {
    const { uri, storageDir, network } = this.workload;
    const projects = Object.fromEntries(vms.map((name) => [name, {}]));
    const config = { "project-vms:host": { uri, storageDir, network }, "project-vms:projects": projects };
    await writeFile(path.join(this.checkout, `Pulumi.${owner}.yaml`), YAML.stringify({ config }));
    await command(path.join(repository, "bin/project-vm"), ["list", "--stack", owner], { cwd: this.checkout });
  }

  async destroy(): Promise<void> {
    await this.pulumi([], "destroy", "--yes", "--skip-preview");
  }

  /** An output of the stack. */
  async output<T>(name: string): Promise<T> {
    return JSON.parse(await this.pulumi([], "stack", "output", name, "--json"));
  }

  private async timed(vms: readonly string[], ...args: string[]): Promise<void> {
    const began = Date.now();
    await this.pulumi(vms, ...args, "--stack", owner);
    const times = JSON.parse(await readFile(this.timesFile, "utf8")) as ProgramTimes;
    const moments = [began, times.started, times.loaded, times.looked, times.ended, Date.now()];
    const [start = 0, load = 0, look = 0, resources = 0, end = 0] = moments
      .slice(1)
      .map((moment, i) => (moment - (moments[i] ?? 0)) / 1000);
    this.times = { start, load, look, resources, end };
  }

  private pulumi(vms: readonly string[], ...args: string[]): Promise<string> {
    const env = {
      PULUMI_CONFIG_PASSPHRASE: "bench",
      PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
      PULUMI_SKIP_UPDATE_CHECK: "1",
      PROJECT_VMS_BENCH: JSON.stringify(this.request(vms)),
    };
    return command("pulumi", [...args, "--non-interactive"], { cwd: this.dir, env });
  }

  private request(vms: readonly string[]): ProgramRequest {
    const { uri, storageDir, network, image, sshKeys, memoryMiB, cpus, running } = this.workload;
    const mebibytes = (bytes: number): SizeText => `${bytes / MiB} MiB`;
    return {
      settings: { uri, storageDir, network: { kind: "managed", ...network }, virtualization: "auto" },
      image,
      vms: [...vms],
      vm: {
        sshKeys,
        memory: `${memoryMiB} MiB`,
        cpus,
        disk: mebibytes(sizes.projectDisk),
        rootDisk: mebibytes(sizes.rootDisk),
        running,
      },
      timesFile: this.timesFile,
    };
  }

  /** Where `project-vm` finds the stack's file. */
  private get checkout(): string {
    return path.join(this.dir, "checkout");
  }

  private get timesFile(): string {
    return path.join(this.dir, "times.json");
  }
}

/** The root's Pulumi.yaml with a state of its own: its runtime options and packages are what is measured. */
async function projectFile(dir: string): Promise<object> {
  const { runtime, main, packages } = YAML.parse(await readFile(path.join(repository, "Pulumi.yaml"), "utf8"));
  return { name: "project-vms-bench", runtime, main, backend: { url: `file://${dir}?metadata=skip` }, packages };
}
