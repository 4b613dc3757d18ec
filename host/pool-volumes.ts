import type { Virsh } from "./virsh.ts";

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
