import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Virsh } from "./virsh.ts";
import { VirshError } from "./virsh-error.ts";

/** For whatever else may be in a refresh's way, such as a volume in the making, in seconds. */
const otherwiseSeconds = 5;

/** The pause before it is tried again, in milliseconds. */
const pause = 250;

/** libvirt refuses to refresh a pool while something is uploaded to it or made in it (`storagePoolRefresh` in its storage driver). */
const isBusy = (error: unknown) => error instanceof VirshError && error.reason.includes("asynchronous jobs running");

/**
 * Has libvirt look at a pool's folder again: files that others put there become volumes, those that are gone cease to be.
 *
 * @param busySeconds how long others may be at work in the pool
 * @throws VirshError when it still fails after that, or after five seconds for another reason
 */
export async function refreshPool(virsh: Virsh, pool: string, busySeconds = otherwiseSeconds): Promise<void> {
  const started = performance.now();
  for (;;) {
    try {
      await virsh.run("pool-refresh", pool);
      return;
    } catch (error) {
      const limit = isBusy(error) ? busySeconds : otherwiseSeconds;
      if (performance.now() - started >= limit * 1000) throw error;
      await delay(pause);
    }
  }
}

/** Pools of these types hold files, which may have backing files. */
export const fileTypes = "dir,fs,netfs";

/** Names of the pools that hold files and are active, or of all of them. */
export async function filePools(virsh: Virsh, ...which: ["--all"] | []): Promise<string[]> {
  return namesIn(await virsh.run(...filePoolList(...which)));
}

/** The command that lists them. */
export const filePoolList = (...which: ["--all"] | []) => ["pool-list", "--name", ...which, "--type", fileTypes];

/** The names in a list of virsh's, which pads those of pools with blanks. */
export const namesIn = (list: string) => list.split("\n").flatMap((name) => name.trim() || []);

/** Names of a pool's volumes, with their paths on the host. */
export async function volumesIn(virsh: Virsh, pool: string): Promise<Map<string, string>> {
  return parseVolumes(await virsh.run("vol-list", pool));
}

/** The same from what `virsh vol-list` prints. */
export function parseVolumes(table: string): Map<string, string> {
  // With or without a header above: a volume's row ends in its absolute path. Both may hold blanks, or a name be nothing else.
  const volumes = new Map<string, string>();
  for (const row of table.split("\n")) {
    let [, name, path] = /^ *([^/]*?) {2,}(\/.*?) *$/.exec(row) ?? [];
    if (name === undefined || path === undefined) continue;
    // Two names that differ by the blanks at their ends alone.
    while (volumes.has(name)) name += " ";
    volumes.set(name, path);
  }
  return volumes;
}

/** Why virsh may find no volume of a name that it lists. */
export const oddNames =
  "virsh prints no name as it is that begins or ends with a blank, or has control characters; rename such a file";

/** The first bytes of a volume's file, as many as it has. */
export async function startOfVolume(virsh: Virsh, pool: string, volume: string, bytes: number): Promise<Buffer> {
  const folder = await mkdtemp(path.join(tmpdir(), "project-vms-volume-"));
  try {
    const file = path.join(folder, "start");
    await virsh.run("vol-download", volume, file, "--pool", pool, "--length", String(bytes));
    return await readFile(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes a volume from a pool, if it is there. */
export async function deleteVolume(virsh: Virsh, pool: string, volume: string): Promise<void> {
  if ((await volumesIn(virsh, pool)).has(volume)) await virsh.run("vol-delete", volume, "--pool", pool);
}
