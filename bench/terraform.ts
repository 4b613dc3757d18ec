import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { basePoolName, networkDomain } from "../src/core/names.ts";
import { libvirtVersion } from "../toolchain/plugin/version.ts";
import { command } from "./command.ts";
import type { Contender } from "./contender.ts";
import type { BenchHost } from "./host.ts";
import { cpuOf, owner, sizes, type VmFacts, vmFacts, type Workload } from "./workload.ts";

/** terraform with the very provider binary that the bridge uses: the same resources, made by another engine. */
export class TerraformContender implements Contender {
  readonly name = "terraform";
  private workload!: Workload;
  private dir!: string;
  private vms: readonly string[] = [];

  private readonly host: BenchHost;
  /** The folder in which the bridge keeps the providers; laid out as terraform's mirrors are. */
  private readonly providers: string;

  constructor(host: BenchHost, providers: string) {
    this.host = host;
    this.providers = providers;
  }

  /** `terraform init` is here: it is done once a machine, as the toolchain is. */
  async prepare(workload: Workload, vms: readonly string[]): Promise<void> {
    this.workload = workload;
    this.dir = await this.host.workDir(this.name);
    await writeFile(path.join(this.dir, "terraform.rc"), "");
    for (const name of vms) vmFacts(workload, name); // makes the seeds
    await this.configure([]);
    await this.terraform("init", "-input=false", `-plugin-dir=${this.providers}`);
  }

  async apply(vms: readonly string[]): Promise<void> {
    await this.configure(vms);
    await this.terraform("apply", "-input=false", "-auto-approve");
  }

  async preview(): Promise<void> {
    await this.terraform("plan", "-input=false", "-detailed-exitcode");
  }

  /** From its state, without a look at the host: what has changed there since it does not know. */
  async list(): Promise<void> {
    await this.terraform("show", "-json");
  }

  /** Keeps what a stack keeps. A pool with a console's log in it could not be removed either. */
  async destroy(): Promise<void> {
    const { terraform, provider } = configuration(this.workload, []);
    const kept = [
      "libvirt_pool.base",
      "libvirt_volume.base",
      ...this.vms.flatMap((name) => [`libvirt_pool.${name}`, `libvirt_volume.${name}-project`]),
    ];
    await this.write({ terraform, provider, removed: kept.map((from) => ({ from, lifecycle: { destroy: false } })) });
    await this.terraform("apply", "-input=false", "-auto-approve");
  }

  private async configure(vms: readonly string[]): Promise<void> {
    this.vms = vms;
    const facts = vms.map((name) => vmFacts(this.workload, name));
    await this.write(configuration(this.workload, facts));
  }

  private write(content: object): Promise<void> {
    return writeFile(path.join(this.dir, "main.tf.json"), JSON.stringify(content, null, 2));
  }

  private async terraform(...args: string[]): Promise<void> {
    // No settings of the user's own, no question to the maker whether there is a newer one.
    const env = {
      TF_CLI_CONFIG_FILE: path.join(this.dir, "terraform.rc"),
      CHECKPOINT_DISABLE: "1",
      TF_IN_AUTOMATION: "1",
    };
    await command("terraform", [...args, "-no-color"], { cwd: this.dir, env });
  }
}

/** The folder of the bridge's providers, if there is one. */
export function bridgeProviders(environment: NodeJS.ProcessEnv): string | undefined {
  const dir = path.join(environment.PULUMI_HOME ?? "", "dynamic_tf_plugins");
  return existsSync(dir) ? dir : undefined;
}

/** A reference as terraform writes it in JSON. */
const reference = (attribute: string) => `\${${attribute}}`;

function configuration(workload: Workload, vms: VmFacts[]) {
  const { storageDir, network, imageFile, uri } = workload;
  const all = (one: (vm: VmFacts) => object) => Object.fromEntries(vms.map((vm) => [vm.name, one(vm)]));
  const suffixed = (suffix: string, one: (vm: VmFacts) => object) =>
    Object.fromEntries(vms.map((vm) => [`${vm.name}-${suffix}`, one(vm)]));
  const volumes = (vm: VmFacts) =>
    ["root", "project", "seed"].map((role) => reference(`libvirt_volume.${vm.name}-${role}.id`));
  return {
    terraform: {
      required_providers: { libvirt: { source: "registry.opentofu.org/dmacvicar/libvirt", version: libvirtVersion } },
    },
    provider: { libvirt: { uri } },
    resource: {
      libvirt_pool: {
        base: { name: basePoolName, type: "dir", target: { path: `${storageDir}/base` } },
        ...all(({ pool, dir }) => ({ name: pool, type: "dir", target: { path: dir } })),
      },
      libvirt_network: { vms: networkArguments(network) },
      libvirt_volume: {
        base: { name: "base.qcow2", pool: reference("libvirt_pool.base.name"), format: "qcow2", source: imageFile },
        ...suffixed("root", (vm) => ({
          ...volume(vm, "disk.qcow2"),
          base_volume_id: reference("libvirt_volume.base.id"),
          size: sizes.rootDisk,
        })),
        ...suffixed("project", (vm) => ({ ...volume(vm, "project.qcow2"), size: sizes.projectDisk })),
        ...suffixed("seed", (vm) => ({ ...volume(vm, "seed.iso"), format: "iso", source: vm.seed })),
      },
      // An empty map of resources is refused.
      ...(vms.length > 0 ? { libvirt_domain: all((vm) => domainArguments(workload, vm, volumes(vm))) } : {}),
    },
  };
}

const volume = (vm: VmFacts, name: string) => ({
  name,
  pool: reference(`libvirt_pool.${vm.name}.name`),
  format: "qcow2",
});

const networkArguments = ({ name, cidr }: Workload["network"]) => ({
  name,
  mode: "nat",
  domain: networkDomain(owner),
  addresses: [cidr],
  autostart: true,
  dhcp: { enabled: true },
  dns: { enabled: true, local_only: true },
});

function domainArguments(workload: Workload, vm: VmFacts, volumes: string[]) {
  const { type, mode } = cpuOf(workload);
  return {
    name: vm.domain,
    description: vm.description,
    type,
    cpu: { mode },
    memory: workload.memoryMiB,
    vcpu: workload.cpus,
    autostart: false,
    running: workload.running,
    disk: volumes.map((volume_id) => ({ volume_id })),
    network_interface: [{ network_name: reference("libvirt_network.vms.name"), mac: vm.mac, wait_for_lease: false }],
    xml: { xslt: vm.xslt },
    lifecycle: { ignore_changes: ["running"] },
  };
}
