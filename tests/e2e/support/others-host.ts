import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { domainName, poolName } from "../../../src/core/names.ts";
import { parseDevices } from "../../../src/libvirt/domain-devices.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { withXmlFile } from "../../../src/libvirt/xml-file.ts";
import type { ManualChange } from "./others-model.ts";

/** A change that was made. */
export interface Done {
  /** The file that a VM's project disk is written to from now on. */
  disk: string;
  /** Whether it still stands. Only asked while the VM is there. */
  stands(): Promise<boolean>;
  /**
   * Puts right what still stands.
   *
   * @param isWanted whether the VM is to be there
   */
  undo(isWanted: boolean): Promise<void>;
}

/** What a change is done to. */
export interface Victim {
  virsh: Virsh;
  project: string;
  /** The folder of its disks. */
  dir: string;
  /** A folder for what others put onto the host, outside all pools. */
  others: string;
}

const mac = "52:54:00:0a:0b:0c";
const snapshot = "others";

/** Makes a change, as others would. */
export function makeChange(change: ManualChange, victim: Victim): Promise<Done> {
  const hands: Record<ManualChange, (victim: Victim) => Promise<Done>> = {
    "external snapshot": externalSnapshot,
    managedsave: managedSave,
    undefine,
    "attach-disk": attachDisk,
    "attach-interface": attachInterface,
    "detach-interface": detachInterface,
    "pool stopped": stopPool,
    "pool undefined": undefinePool,
    "disk renamed": renameDisk,
  };
  return hands[change](victim);
}

const projectDisk = ({ dir }: Victim) => path.join(dir, "project.qcow2");
const names = async (virsh: Virsh, ...list: string[]) =>
  (await virsh.run(...list)).split("\n").map((line) => line.trim());
const isDefined = async ({ virsh, project }: Victim) =>
  (await names(virsh, "list", "--all", "--name")).includes(domainName(project));
const definition = ({ virsh, project }: Victim) =>
  virsh.run("dumpxml", domainName(project), "--inactive", "--security-info");
const define = (virsh: Virsh, verb: string, xml: string) => withXmlFile(xml, (file) => virsh.run(verb, file));

/** As virt-manager makes them by default: the domain's disks are overlays over ours. */
async function externalSnapshot(victim: Victim): Promise<Done> {
  const { virsh, project, dir } = victim;
  const domain = domainName(project);
  const external = ["vda", "vdb"].flatMap((target) => ["--diskspec", `${target},snapshot=external`]);
  const args = ["--disk-only", "--atomic", ...external, "--diskspec", "vdc,snapshot=no"];
  await virsh.run("snapshot-create-as", domain, snapshot, ...args);
  const overlays = ["disk", "project"].map((disk) => [`${disk}.${snapshot}`, `${disk}.qcow2`] as const);
  return {
    disk: path.join(dir, `project.${snapshot}`),
    stands: async () => (await definition(victim)).includes(`/project.${snapshot}`),
    // A domain that is off has no blockcommit: the same by hand.
    undo: async () => {
      for (const [overlay] of overlays) await execa("qemu-img", ["commit", "-q", path.join(dir, overlay)]);
      const xml = overlays.reduce(
        (text, [overlay, file]) => text.replaceAll(path.join(dir, overlay), path.join(dir, file)),
        await definition(victim),
      );
      await virsh.run("snapshot-delete", domain, snapshot, "--metadata");
      await define(virsh, "define", xml);
      for (const [overlay] of overlays) rmSync(path.join(dir, overlay));
      await virsh.run("pool-refresh", poolName(project));
    },
  };
}

async function managedSave(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const domain = domainName(project);
  await virsh.run("start", domain);
  await virsh.run("managedsave", domain);
  const stands = async () => (await names(virsh, "list", "--all", "--name", "--with-managed-save")).includes(domain);
  return {
    disk: projectDisk(victim),
    stands,
    // Its guest has written nothing.
    undo: async () => void ((await stands()) && (await virsh.run("managedsave-remove", domain))),
  };
}

async function undefine(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const domain = domainName(project);
  const xml = await definition(victim);
  const autostarts = (await names(virsh, "list", "--all", "--autostart", "--name")).includes(domain);
  await virsh.run("undefine", domain);
  const undo = async (isWanted: boolean) => {
    if (!isWanted || (await isDefined(victim))) return;
    await define(virsh, "define", xml);
    if (autostarts) await virsh.run("autostart", domain);
  };
  return { disk: projectDisk(victim), stands: async () => !(await isDefined(victim)), undo };
}

async function attachDisk(victim: Victim): Promise<Done> {
  const { virsh, project, others } = victim;
  const file = path.join(others, `${project}.qcow2`);
  mkdirSync(others, { recursive: true });
  await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "16M"]);
  const how = ["--subdriver", "qcow2", "--targetbus", "virtio", "--config"];
  await virsh.run("attach-disk", domainName(project), file, "vdd", ...how);
  const stands = async () => (await isDefined(victim)) && (await definition(victim)).includes(file);
  const undo = async () => {
    if (await stands()) await virsh.run("detach-disk", domainName(project), "vdd", "--config");
    if (!existsSync(file)) throw new Error(`${file}, which others attached, is gone`);
    rmSync(file);
  };
  return { disk: projectDisk(victim), stands, undo };
}

async function attachInterface(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const own = parseDevices(await definition(victim)).nics[0];
  const how = ["--model", "virtio", "--mac", mac, "--config"];
  await virsh.run("attach-interface", domainName(project), "network", own?.on ?? "none", ...how);
  const stands = async () => (await isDefined(victim)) && (await definition(victim)).includes(mac);
  const detach = ["detach-interface", domainName(project), "network", "--mac", mac, "--config"];
  return {
    disk: projectDisk(victim),
    stands,
    undo: async () => void ((await stands()) && (await virsh.run(...detach))),
  };
}

async function detachInterface(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const domain = domainName(project);
  const [nic = ""] = /<interface [\s\S]*?<\/interface>/.exec(await definition(victim)) ?? [];
  const [, own = ""] = /<mac address='([^']+)'/.exec(nic) ?? [];
  await virsh.run("detach-interface", domain, "network", "--mac", own, "--config");
  const stands = async () => (await isDefined(victim)) && !(await definition(victim)).includes(own);
  const attach = () => withXmlFile(nic, (file) => virsh.run("attach-device", domain, file, "--config"));
  return { disk: projectDisk(victim), stands, undo: async () => void ((await stands()) && (await attach())) };
}

async function stopPool(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const pool = poolName(project);
  await virsh.run("pool-destroy", pool);
  const stands = async () => !(await names(virsh, "pool-list", "--name")).includes(pool);
  const undo = async () => {
    // Gone with the VM and all that was in it: nothing to start.
    const isThere = (await names(virsh, "pool-list", "--all", "--name")).includes(pool);
    if (isThere && (await stands())) await virsh.run("pool-start", pool);
  };
  return { disk: projectDisk(victim), stands, undo };
}

async function undefinePool(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const pool = poolName(project);
  const xml = await virsh.run("pool-dumpxml", pool, "--inactive");
  await virsh.run("pool-destroy", pool);
  await virsh.run("pool-undefine", pool);
  const stands = async () => !(await names(virsh, "pool-list", "--all", "--name")).includes(pool);
  const undo = async (isWanted: boolean) => {
    await define(virsh, "pool-define", xml);
    await virsh.run("pool-start", pool);
    await virsh.run("pool-autostart", pool);
    if (isWanted) return;
    // A teardown removes nothing by a pool that is not there.
    for (const file of ["disk.qcow2", "seed.iso"]) await virsh.run("vol-delete", file, "--pool", pool);
  };
  return { disk: projectDisk(victim), stands, undo };
}

async function renameDisk(victim: Victim): Promise<Done> {
  const { virsh, project } = victim;
  const [file, away] = [projectDisk(victim), `${projectDisk(victim)}.away`];
  const lookAgain = () => virsh.run("pool-refresh", poolName(project));
  renameSync(file, away);
  await lookAgain();
  const undo = async () => {
    if (existsSync(file)) throw new Error(`${file} was recreated while others had the old one at ${away}`);
    renameSync(away, file);
    await lookAgain();
  };
  return { disk: away, stands: async () => existsSync(away), undo };
}
