import { setTimeout as delay } from "node:timers/promises";
import type { Virsh } from "./virsh.ts";

/** A refresh that meets a volume in the making fails; that is over in no time. */
const refreshTries = 20;

/**
 * Has libvirt look at a pool's folder again: files that others put there become volumes, those that are gone cease to be.
 *
 * @throws VirshError when it still fails after five seconds
 */
export async function refreshPool(virsh: Virsh, pool: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await virsh.run("pool-refresh", pool);
      return;
    } catch (error) {
      if (tries === refreshTries) throw error;
      await delay(250);
    }
  }
}

/** Names of a pool's volumes, with their paths on the host. */
export async function volumesIn(virsh: Virsh, pool: string): Promise<Map<string, string>> {
  const table = await virsh.run("vol-list", pool);
  // With or without a header above: a volume's row ends in its absolute path.
  const rows = table.split("\n").map((row) => /^\s*(\S+)\s+(\/.*?)\s*$/.exec(row));
  return new Map(rows.flatMap((row) => (row ? [[row[1] as string, row[2] as string]] : [])));
}

/** Removes a volume from a pool, if it is there. */
export async function deleteVolume(virsh: Virsh, pool: string, volume: string): Promise<void> {
  if ((await volumesIn(virsh, pool)).has(volume)) await virsh.run("vol-delete", volume, "--pool", pool);
}
