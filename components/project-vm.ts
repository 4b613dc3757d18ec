import * as command from "@pulumi/command";
import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { metaData } from "../cloud-init/meta-data.ts";
import { seedIso } from "../cloud-init/seed-iso.ts";
import { userData } from "../cloud-init/user-data.ts";
import { diskSerial, domainName, hostName, macAddress, ownerMark, poolName } from "../config/names.ts";
import { resolveVmSettings, type VmRequest, type VmSettings } from "../config/parse.ts";
import { MiB } from "../config/sizes.ts";
import { domainEnvironment } from "../guest/entry.ts";
import type { Readiness } from "../guest/ready.ts";
import { domainXslt } from "./domain-xslt.ts";
import { entryCommand } from "./entry-command.ts";
import { ChildFactory, type Transform } from "./transform.ts";
import type { VmHost } from "./vm-host.ts";

/** What a {@link ProjectVm} is made from; sizes, CPUs and autostart are those of {@link VmRequest}. */
export interface ProjectVmArgs extends VmRequest {
  /** The host that the VM lives on. Another host is another VM: nothing is moved. */
  host: VmHost;
  /**
   * Public SSH keys that may log in as `dev`, in OpenSSH's one-line form. Read at first boot only: a change reaches
   * a VM when its root is rebuilt, and never restarts it.
   * @example ["ssh-ed25519 AAAA… me@laptop"]
   */
  sshKeys: string[];
  /**
   * Whether the VM is started and waited for when it is made. `false` makes it and leaves it off. A VM that exists is
   * neither started nor stopped by a change of this.
   * @default true
   */
  running?: boolean;
  /** Changes to the children just before they are made. */
  transform?: {
    pool?: Transform<libvirt.PoolArgs>;
    rootDisk?: Transform<libvirt.VolumeArgs>;
    projectDisk?: Transform<libvirt.VolumeArgs>;
    seed?: Transform<libvirt.VolumeArgs>;
    domain?: Transform<libvirt.DomainArgs>;
    ready?: Transform<command.local.CommandArgs>;
  };
}

/**
 * A project's own VM on a libvirt host. By default it makes:
 * 1. the pool `project-<name>` at `<storageDir>/<name>`, which is kept when the VM goes;
 * 2. the root disk in it, `disk.qcow2`: a copy-on-write overlay of the host's base image;
 * 3. the project disk, `project.qcow2`: formatted once, when it is blank; kept when the VM goes, taken up when it comes back;
 * 4. the seed for cloud-init, `seed.iso`;
 * 5. the domain `project-<name>`, with a serial console, a guest agent, and a MAC address and disk serials that derive from the name;
 * 6. the wait until the VM is ready, which on removal is the graceful shutdown before the domain goes.
 *
 * @example
 * const vm = new ProjectVm("myapp", { host, sshKeys: ["ssh-ed25519 AAAA… me@laptop"], memory: "8 GiB" });
 * export const address = vm.readiness.apply((ready) => ready?.addresses[0]);
 * @throws UserError for a name or a size that cannot be, all of them at once
 */
export class ProjectVm extends pulumi.ComponentResource {
  /** The domain's name on the host, which is also the guest's host name: `project-<name>`. */
  readonly domainName: string;
  /** Absolute paths on the host. */
  readonly disks: { root: pulumi.Output<string>; project: pulumi.Output<string> };
  /** What was found when the VM became ready; undefined for a VM that was made with `running: false`. */
  readonly readiness: pulumi.Output<Readiness | undefined>;
  readonly nodes: {
    pool: libvirt.Pool;
    rootDisk: libvirt.Volume;
    projectDisk: libvirt.Volume;
    seed: libvirt.Volume;
    domain: libvirt.Domain;
    ready: command.local.Command | undefined;
  };

  constructor(name: string, args: ProjectVmArgs, opts?: pulumi.ComponentResourceOptions) {
    super("project-vms:index:ProjectVm", name, {}, opts);
    const settings = resolveVmSettings(name, args);
    const vm: Plan = { name, args, settings, host: args.host, dir: `${args.host.settings.storageDir}/${name}` };
    const children = new ChildFactory(this, name, args.transform);

    const pool = createPool(children, vm);
    const rootDisk = createRootDisk(children, vm, pool);
    const projectDisk = createProjectDisk(children, vm, pool);
    const seed = createSeed(children, vm, pool);
    const domain = createDomain(children, vm, { rootDisk, projectDisk, seed });
    const ready = args.running === false ? undefined : createReady(children, vm, domain);

    this.domainName = domainName(name);
    this.disks = { root: rootDisk.id, project: projectDisk.id };
    this.readiness = pulumi.output(ready?.stdout).apply((text) => (text ? (JSON.parse(text) as Readiness) : undefined));
    this.nodes = { pool, rootDisk, projectDisk, seed, domain, ready };
    this.registerOutputs({ domainName: this.domainName, disks: this.disks, readiness: this.readiness });
  }
}

interface Plan {
  name: string;
  args: ProjectVmArgs;
  settings: VmSettings;
  host: VmHost;
  dir: string;
}
type Children = ChildFactory<NonNullable<ProjectVmArgs["transform"]>>;

/** Kept when the VM goes, for the project disk in it: a pool is how libvirt, also a remote one, finds that disk again. */
function createPool(children: Children, { name, host, dir }: Plan) {
  const found = host.inventory.pools.find((pool) => pool.name === poolName(name));
  return children.create(
    "pool",
    libvirt.Pool,
    { name: poolName(name), type: "dir", target: { path: dir } },
    { provider: host.provider, retainOnDelete: true, ...(found ? { import: found.uuid } : {}) },
  );
}

/** Existing VMs keep the image that they were made from: a changed base would be another root. */
function createRootDisk(children: Children, { host, settings }: Plan, pool: libvirt.Pool) {
  return children.create(
    "rootDisk",
    libvirt.Volume,
    {
      name: "disk.qcow2",
      pool: pool.name,
      format: "qcow2",
      baseVolumeId: host.image.path,
      size: settings.rootDisk,
    },
    { provider: host.provider, ignoreChanges: ["baseVolumeId", "size"] },
  );
}

/** The provider takes up a volume that is there as it is; a changed size would replace it, so that is never its business. */
function createProjectDisk(children: Children, { host, settings }: Plan, pool: libvirt.Pool) {
  return children.create(
    "projectDisk",
    libvirt.Volume,
    { name: "project.qcow2", pool: pool.name, format: "qcow2", size: settings.disk },
    { provider: host.provider, retainOnDelete: true, ignoreChanges: ["size", "format"] },
  );
}

/** cloud-init reads it at first boot only, so a changed one is nothing to a VM that exists. */
function createSeed(children: Children, { name, args, host }: Plan, pool: libvirt.Pool) {
  const guest = {
    name,
    hostname: hostName(name),
    sshKeys: args.sshKeys,
    diskSerial: diskSerial(name, "project"),
    imageKind: host.imageKind,
  };
  return children.create(
    "seed",
    libvirt.Volume,
    {
      name: "seed.iso",
      pool: pool.name,
      format: "iso",
      source: seedIso(hostName(name), { userData: userData(guest), metaData: metaData(guest) }),
    },
    { provider: host.provider, ignoreChanges: ["source"] },
  );
}

function createDomain(
  children: Children,
  { name, settings, host, dir, args }: Plan,
  volumes: { rootDisk: libvirt.Volume; projectDisk: libvirt.Volume; seed: libvirt.Volume },
) {
  const emulated = host.inventory.virtualization === "emulated";
  const xslt = domainXslt({
    disks: [
      { target: "vda", file: `${dir}/disk.qcow2`, format: "qcow2", serial: diskSerial(name, "root") },
      { target: "vdb", file: `${dir}/project.qcow2`, format: "qcow2", serial: diskSerial(name, "project") },
      { target: "vdc", file: `${dir}/seed.iso`, format: "raw", serial: diskSerial(name, "seed"), readonly: true },
    ],
    consoleLog: `${dir}/console.log`,
  });
  return children.create(
    "domain",
    libvirt.Domain,
    {
      name: domainName(name),
      description: ownerMark(host.owner),
      type: emulated ? "qemu" : "kvm",
      // The provider's default, qemu64, lacks instructions that Claude Code needs.
      cpu: { mode: emulated ? "maximum" : "host-passthrough" },
      memory: settings.memory / MiB,
      vcpu: settings.cpus,
      autostart: settings.autostart,
      running: args.running ?? true,
      disks: [volumes.rootDisk, volumes.projectDisk, volumes.seed].map((volume) => ({ volumeId: volume.id })),
      networkInterfaces: [{ networkName: host.networkName, mac: macAddress(name), waitForLease: false }],
      xml: { xslt },
    },
    {
      provider: host.provider,
      // Two domains cannot have one name, nor one disk.
      deleteBeforeReplace: true,
      // Whether a VM runs is its user's business.
      ignoreChanges: ["running"],
      hooks: { beforeCreate: [host.beforeDomainCreate] },
    },
  );
}

/** Waits until the guest is ready; removed before the domain, it shuts the guest down, for the provider would cut its power. */
function createReady(children: Children, { name, host }: Plan, domain: libvirt.Domain) {
  return children.create(
    "ready",
    command.local.Command,
    {
      create: entryCommand(new URL("../guest/wait-until-ready.ts", import.meta.url)),
      delete: entryCommand(new URL("../guest/shut-down.ts", import.meta.url)),
      environment: domainEnvironment({
        uri: host.settings.uri,
        project: name,
        virtualization: host.inventory.virtualization,
      }),
      triggers: [domain.id],
      logging: "stderr",
    },
    { deleteBeforeReplace: true, dependsOn: domain },
  );
}
