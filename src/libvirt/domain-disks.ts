import { posix } from "node:path";
import { type DiskDevice, parseDevices } from "./domain-devices.ts";
import type { Inventory } from "./inventory.ts";
import type { Virsh } from "./virsh.ts";

/**
 * The disks that a domain has now and those that it is defined with. One that was removed meanwhile has none.
 *
 * @throws VirshError when one that is there cannot be asked
 */
export async function disksOf(virsh: Virsh, domain: string): Promise<DiskDevice[]> {
  try {
    const views = [await virsh.run("dumpxml", domain), await virsh.run("dumpxml", domain, "--inactive")];
    return views.flatMap((xml) => parseDevices(xml).disks);
  } catch (error) {
    if ((await virsh.run("list", "--all", "--name")).split("\n").includes(domain)) throw error;
    return [];
  }
}

/** The files that domains of a host have as raw disks. A volume may be named by pool and name. */
export function rawDisks({ domains, pools }: Pick<Inventory, "domains" | "pools">): string[] {
  const disks = domains.flatMap(({ devices = [] }) => devices.flatMap((device) => device.disks));
  const named = disks.flatMap(({ source, format }) => (format === "raw" && source !== "" ? [source] : []));
  return named.map((source) => {
    const [pool = "", ...volume] = source.split("/");
    return pool === "" ? source : posix.join(pools.find(({ name }) => name === pool)?.path ?? pool, ...volume);
  });
}
