import { domainName, poolName } from "../config/names.ts";
import { shutDown } from "../guest/power.ts";
import { parseDomain } from "../host/libvirt-xml.ts";
import { deleteVolume, volumesIn } from "../host/pool-volumes.ts";
import type { Virsh } from "../host/virsh.ts";
import type { Log } from "./grow.ts";
import { names, requireOwn, undefine } from "./replace.ts";

/** What a project's teardown must know. */
export interface Teardown {
  uri: string;
  project: string;
  /** The stack's name. */
  owner: string;
  /** Whether the project disk stays. */
  keepData: boolean;
}

/** What goes with a VM in any case; all of it can be made again. */
const disposable = ["disk.qcow2", "seed.iso", "console.log"];

/**
 * Takes a project's VM away: the guest shuts down in order, then its definition, root disk, seed and console log go. The
 * project disk goes only where `keepData` is false, and only with its own domain gone and no other one on it. The pool goes
 * when nothing is left in it. Can be cut off at any point and done again.
 *
 * @throws UserError when the domain is somebody else's: nothing is removed then
 */
export async function tearDown(virsh: Virsh, { project, owner, keepData }: Teardown, log: Log): Promise<void> {
  const domain = domainName(project);
  if ((await names(virsh)).includes(domain)) {
    await requireOwn(virsh, domain, owner);
    await shutDown(virsh, domain, log);
    await undefine(virsh, domain);
  }
  const pool = poolName(project);
  if (!(await poolNames(virsh)).includes(pool)) return;
  await virsh.run("pool-start", pool).catch(() => undefined); // it may run already
  await virsh.run("pool-refresh", pool);
  for (const volume of disposable) await deleteVolume(virsh, pool, volume);
  if (!keepData) await deleteProjectDisk(virsh, project, log);
  await removeIfEmpty(virsh, pool, log);
}

async function deleteProjectDisk(virsh: Virsh, project: string, log: Log): Promise<void> {
  const path = (await volumesIn(virsh, poolName(project))).get("project.qcow2");
  if (!path) return;
  for (const domain of await names(virsh)) {
    const { disks } = parseDomain(await virsh.run("dumpxml", domain));
    const uses = disks.some((disk) => ("path" in disk ? disk.path === path : disk.pool === poolName(project)));
    if (uses) {
      log(`${project}: its project disk is kept, although keepData is false: the domain ${domain} uses it (${path})`);
      return;
    }
  }
  await deleteVolume(virsh, poolName(project), "project.qcow2");
  log(`${project}: its project disk is deleted (keepData is false)`);
}

async function removeIfEmpty(virsh: Virsh, pool: string, log: Log): Promise<void> {
  const left = await volumesIn(virsh, pool);
  if (left.size > 0) {
    log(`${pool}: kept ${[...left.values()].join(", ")}`);
    return;
  }
  await virsh.run("pool-destroy", pool);
  // Refused by libvirt when the folder holds what is no volume: then the folder stays.
  await virsh.run("pool-delete", pool).catch(() => undefined);
  await virsh.run("pool-undefine", pool);
}

const poolNames = async (virsh: Virsh) =>
  (await virsh.run("pool-list", "--all", "--name")).split("\n").map((name) => name.trim());
