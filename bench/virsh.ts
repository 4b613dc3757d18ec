import { writeFile } from "node:fs/promises";
import path from "node:path";
import { basePoolName, networkDomain } from "../src/core/names.ts";
import { virshSession } from "../src/libvirt/virsh.ts";
import type { Contender } from "./contender.ts";
import type { BenchHost } from "./host.ts";
import { domainXml, owner, sizes, toXml, type VmFacts, vmFacts, type Workload } from "./workload.ts";

const baseVolume = "base.qcow2";

/** For a session of many commands, in seconds. */
const limit = 1800;

/**
 * Plain virsh: one process and one connection for all commands of a step, one after another. It makes the same pools,
 * volumes, network and domains, and starts each domain and cuts it off, as the provider does with one that is not to run.
 */
export class VirshContender implements Contender {
  readonly name = "virsh";
  private workload!: Workload;
  private dir!: string;
  private facts = new Map<string, VmFacts>();
  private hostMade = false;
  private made = new Set<string>();

  private readonly host: BenchHost;

  constructor(host: BenchHost) {
    this.host = host;
  }

  async prepare(workload: Workload, vms: readonly string[]): Promise<void> {
    this.workload = workload;
    this.dir = await this.host.workDir(this.name);
    this.hostMade = false;
    this.made.clear();
    this.facts = new Map(vms.map((name) => [name, vmFacts(workload, name)]));
    await writeFile(this.file("network"), networkXml(workload));
    for (const vm of this.facts.values()) await writeFile(this.file(vm.domain), domainXml(workload, vm));
  }

  async apply(vms: readonly string[]): Promise<void> {
    const missing = vms.filter((name) => !this.made.has(name));
    await this.virsh([
      ...(this.hostMade ? [] : this.makeHost()),
      ...missing.flatMap((name) => this.makeVm(this.vm(name))),
    ]);
    this.hostMade = true;
    for (const name of missing) this.made.add(name);
  }

  /** virsh plans nothing; it reads back all that is defined, which is what a plan has to do at least. */
  async preview(vms: readonly string[]): Promise<void> {
    const volumes = ["disk.qcow2", "project.qcow2", "seed.iso"];
    await this.virsh([
      ["pool-dumpxml", basePoolName],
      ["vol-dumpxml", baseVolume, "--pool", basePoolName],
      ["net-dumpxml", this.workload.network.name],
      ...vms
        .map((name) => this.vm(name))
        .flatMap(({ pool, domain }) => [
          ["pool-dumpxml", pool],
          ...volumes.map((volume) => ["vol-dumpxml", volume, "--pool", pool]),
          ["dumpxml", domain],
        ]),
    ]);
  }

  /** States, memory, CPUs and disks of all, and addresses. */
  async list(): Promise<void> {
    await this.virsh([
      ["domstats", "--state", "--balloon", "--vcpu", "--block"],
      ["net-dhcp-leases", this.workload.network.name],
    ]);
  }

  /** Keeps what a stack keeps: the pools, the project disks and the base image. */
  async destroy(): Promise<void> {
    const vms = [...this.made].map((name) => this.vm(name));
    await this.virsh([
      ...vms.flatMap(({ pool, domain }) => [
        ["undefine", domain],
        ["vol-delete", "disk.qcow2", "--pool", pool],
        ["vol-delete", "seed.iso", "--pool", pool],
      ]),
      ["net-destroy", this.workload.network.name],
      ["net-undefine", this.workload.network.name],
    ]);
  }

  private makeHost(): string[][] {
    const { storageDir, imageFile, network } = this.workload;
    return [
      ...makePool(basePoolName, `${storageDir}/base`),
      ["vol-create-as", basePoolName, baseVolume, "0", "--format", "qcow2"],
      ["vol-upload", baseVolume, imageFile, "--pool", basePoolName],
      ["net-define", this.file("network")],
      ["net-autostart", network.name],
      ["net-start", network.name],
    ];
  }

  private makeVm({ pool, dir, domain, seed }: VmFacts): string[][] {
    const qcow2 = (name: string, bytes: number) => ["vol-create-as", pool, name, String(bytes), "--format", "qcow2"];
    const base = ["--backing-vol", `${this.workload.storageDir}/base/${baseVolume}`, "--backing-vol-format", "qcow2"];
    return [
      ...makePool(pool, dir),
      [...qcow2("disk.qcow2", sizes.rootDisk), ...base],
      qcow2("project.qcow2", sizes.projectDisk),
      ["vol-create-as", pool, "seed.iso", "0", "--format", "raw"],
      ["vol-upload", "seed.iso", seed, "--pool", pool],
      ["define", this.file(domain)],
      ["start", domain],
      ...(this.workload.running ? [] : [["destroy", domain]]),
    ];
  }

  private async virsh(batch: string[][]): Promise<void> {
    const answers = await virshSession(this.workload.uri, batch, limit);
    const failed = answers.find(({ ok }) => !ok);
    if (failed) throw new Error(`virsh ${failed.command.join(" ")}: ${failed.error}`);
  }

  private vm(name: string): VmFacts {
    const facts = this.facts.get(name);
    if (!facts) throw new Error(`${name} was not prepared`);
    return facts;
  }

  private file(name: string): string {
    return path.join(this.dir, `${name}.xml`);
  }
}

const makePool = (name: string, dir: string) => [
  ["pool-define-as", name, "dir", "--target", dir],
  ["pool-build", name],
  ["pool-start", name],
];

function networkXml({ network }: Workload): string {
  const [address = "", prefix = ""] = network.cidr.split("/");
  const bytes = address.split(".");
  const at = (last: number) => [...bytes.slice(0, 3), last].join(".");
  return toXml({
    network: {
      name: network.name,
      forward: { "@_mode": "nat" },
      domain: { "@_name": networkDomain(owner), "@_localOnly": "yes" },
      ip: {
        "@_address": at(1),
        "@_prefix": prefix,
        dhcp: { range: { "@_start": at(2), "@_end": at(254) } },
      },
    },
  });
}
