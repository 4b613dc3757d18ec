import { XMLBuilder } from "fast-xml-parser";
import { domainXslt } from "../components/domain-xslt.ts";
import { metaData } from "../src/cloud-init/meta-data.ts";
import { seedIso } from "../src/cloud-init/seed-iso.ts";
import { userData } from "../src/cloud-init/user-data.ts";
import type { ImageSettings } from "../src/config/settings.ts";
import { diskSerial, domainName, domainUuid, hostName, macAddress, ownerMark, poolName } from "../src/core/names.ts";
import { GiB, MiB } from "../src/core/sizes.ts";

/** What all contenders make the same of: the host's part, and the figures of each VM. */
export interface Workload {
  uri: string;
  storageDir: string;
  network: { name: string; cidr: string };
  virtualization: "kvm" | "emulated";
  image: ImageSettings;
  /** The image as a file here. */
  imageFile: string;
  sshKeys: string[];
  memoryMiB: number;
  cpus: number;
  /** Whether VMs are left running. */
  running: boolean;
}

/** The smallest disks that a config allows. */
export const sizes = { rootDisk: 8 * GiB, projectDisk: 64 * MiB } as const;

/** The stack's name, which is in the marks of whatever is made. */
export const owner = "bench";

/** Names of VMs. @example vmNames(2) // ["vm001", "vm002"] */
export function vmNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `vm${String(i + 1).padStart(3, "0")}`);
}

/** All that is particular to one VM, as the references need it. */
export interface VmFacts {
  name: string;
  domain: string;
  pool: string;
  dir: string;
  mac: string;
  description: string;
  /** The seed's file here; made if it is not there yet. */
  seed: string;
  xslt: string;
}

/** @example vmFacts(workload, "vm001").pool // "project-vm001" */
export function vmFacts(workload: Workload, name: string): VmFacts {
  const dir = `${workload.storageDir}/${name}`;
  const serial = diskSerial(name, "project");
  const guest = {
    name,
    hostname: hostName(name),
    sshKeys: workload.sshKeys,
    diskSerial: serial,
    imageKind: workload.image.kind,
  };
  return {
    name,
    domain: domainName(name),
    pool: poolName(name),
    dir,
    mac: macAddress(name),
    description: ownerMark(owner),
    seed: seedIso(hostName(name), { userData: userData(guest), metaData: metaData(guest) }),
    xslt: domainXslt({
      uuid: domainUuid(name),
      firmware: "bios",
      disks: [
        { target: "vda", file: `${dir}/disk.qcow2`, format: "qcow2", serial: diskSerial(name, "root") },
        { target: "vdb", file: `${dir}/project.qcow2`, format: "qcow2", serial },
        { target: "vdc", file: `${dir}/seed.iso`, format: "raw", serial: diskSerial(name, "seed"), readonly: true },
      ],
      consoleLog: `${dir}/console.log`,
    }),
  };
}

/** Type and CPU model of a domain, as `ProjectVm` has them. */
export function cpuOf({ virtualization }: Workload) {
  const emulated = virtualization === "emulated";
  return { type: emulated ? "qemu" : "kvm", mode: emulated ? "maximum" : "host-passthrough" };
}

/** The domain as the provider defines it. */
export function domainXml(workload: Workload, vm: VmFacts): string {
  const { type, mode } = cpuOf(workload);
  const disk = (target: string, file: string, format: string, role: "root" | "project" | "seed") => ({
    "@_type": "file",
    "@_device": "disk",
    driver: { "@_name": "qemu", "@_type": format, ...(role === "seed" ? {} : { "@_discard": "unmap" }) },
    source: { "@_file": `${vm.dir}/${file}` },
    target: { "@_dev": target, "@_bus": "virtio" },
    serial: diskSerial(vm.name, role),
    ...(role === "seed" ? { readonly: "" } : {}),
  });
  const devices = {
    disk: [
      disk("vda", "disk.qcow2", "qcow2", "root"),
      disk("vdb", "project.qcow2", "qcow2", "project"),
      disk("vdc", "seed.iso", "raw", "seed"),
    ],
    interface: {
      "@_type": "network",
      source: { "@_network": workload.network.name },
      mac: { "@_address": vm.mac },
      model: { "@_type": "virtio" },
    },
    channel: { "@_type": "unix", target: { "@_type": "virtio", "@_name": "org.qemu.guest_agent.0" } },
    rng: { "@_model": "virtio", backend: { "@_model": "random", "#text": "/dev/urandom" } },
    serial: {
      "@_type": "pty",
      log: { "@_file": `${vm.dir}/console.log`, "@_append": "on" },
      target: { "@_port": "0" },
    },
    console: { "@_type": "pty", target: { "@_type": "serial", "@_port": "0" } },
  };
  return toXml({
    domain: {
      "@_type": type,
      name: vm.domain,
      description: vm.description,
      memory: { "@_unit": "MiB", "#text": workload.memoryMiB },
      vcpu: workload.cpus,
      os: { type: "hvm" },
      features: { pae: "", acpi: "", apic: "" },
      cpu: { "@_mode": mode },
      devices,
    },
  });
}

/** XML from an object; keys that begin with `@_` are attributes. */
export function toXml(document: object): string {
  return new XMLBuilder({ ignoreAttributes: false, suppressEmptyNode: true, format: true }).build(document);
}
