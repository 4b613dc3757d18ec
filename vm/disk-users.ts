import { posix } from "node:path";
import { namePrefix } from "../config/names.ts";
import { overlayAmong } from "../host/backing-files.ts";
import { holdsConsole } from "../host/console-log.ts";
import type { DiskDevice } from "../host/domain-devices.ts";
import { disksOf } from "../host/domain-disks.ts";
import { parseVolume, type VolumeXml } from "../host/libvirt-xml.ts";
import { filePools, refreshPool, volumesIn } from "../host/pool-volumes.ts";
import type { Shell } from "../host/shell.ts";
import { type Virsh, VirshError } from "../host/virsh.ts";
import { names } from "./replace.ts";

/** A disk that is about to be deleted. */
export interface DiskToDelete {
  /** The domain that is its own. */
  domain: string;
  pool: string;
  path: string;
}

/** What every project has in its pool: it stands on a base image, or on nothing. */
const standsElsewhere = (pool: string, volume: string) =>
  pool.startsWith(namePrefix) && ["disk.qcow2", "seed.iso"].includes(volume);

/**
 * What else uses a disk: another domain that has it, or an overlay of it, now or after its next start; a volume in a pool whose backing
 * file it is, a clone that no domain has for one.
 *
 * @param shell asked about disks that are in no pool
 * @returns in words, also where it cannot be known; `undefined` when there is none
 * @throws VirshError when a domain that is there cannot be asked
 */
export async function otherUserOf(virsh: Virsh, shell: Shell, disk: DiskToDelete): Promise<string | undefined> {
  const others = await disksOfOthers(virsh, disk.domain);
  const user = others.find((one) => uses(one, disk));
  if (user) return `the domain ${user.domain} uses it`;
  const images = others.filter(({ format }) => format === "qcow2").map(({ source }) => source);
  const volumes: VolumesSeen = { paths: new Set(), backing: [] };
  const overlay = await overlayInPools(virsh, disk.path, volumes);
  if (overlay) return overlay;
  const inNoPool = (file: string) => posix.isAbsolute(file) && !volumes.paths.has(file);
  const hidden = new Set([...images, ...volumes.backing].filter(inNoPool));
  const { image, unknown } = (await overlayAmong(shell, [...hidden], disk.path)) ?? {};
  if (image === undefined) return undefined;
  return unknown === undefined ? `${image} stands on it` : `whether ${image} stands on it is not known: ${unknown}`;
}

/** A disk of a domain. */
export type DiskOf = DiskDevice & { domain: string };

/**
 * The disks of all domains but one.
 *
 * @throws VirshError when a domain that is there cannot be asked
 */
export async function disksOfOthers(virsh: Virsh, own: string): Promise<DiskOf[]> {
  const all: DiskOf[] = [];
  for (const domain of (await names(virsh)).filter((name) => name !== own))
    all.push(...(await disksOf(virsh, domain)).map((disk) => ({ ...disk, domain })));
  return all;
}

/** Whether a disk of a domain is this one, or an overlay of it. */
export const uses = ({ source, chain }: DiskDevice, { path, pool }: Pick<DiskToDelete, "path" | "pool">) =>
  [source, ...chain].some((file) => posix.normalize(file) === path || file.startsWith(`${pool}/`));

/** Volumes that were looked at, and the qcow2 images that they stand on. */
interface VolumesSeen {
  paths: Set<string>;
  backing: string[];
}

/** @param seen is added to */
async function overlayInPools(virsh: Virsh, path: string, seen: VolumesSeen): Promise<string | undefined> {
  const active = await filePools(virsh);
  for (const pool of await filePools(virsh, "--all")) {
    const unknown = (why: string) => `whether a volume of the pool ${pool} stands on it is not known: ${why}`;
    if (!active.includes(pool)) {
      // Those of other projects, and of consoles beside them, hold what this program has put there.
      if (pool.startsWith(namePrefix) || (await holdsConsole(virsh, pool, posix.join(path, "../..")))) continue;
      return unknown("the pool is stopped");
    }
    try {
      await refreshPool(virsh, pool);
      for (const [volume, file] of await volumesIn(virsh, pool)) {
        seen.paths.add(file);
        if (standsElsewhere(pool, volume)) continue;
        const { backingPath, backingFormat } = (await volumeOf(virsh, pool, volume)) ?? {};
        if (!backingPath) continue;
        if (posix.normalize(backingPath) === path) return `${file} stands on it`;
        if (backingFormat === "qcow2") seen.backing.push(backingPath);
      }
    } catch (error) {
      if (!(error instanceof VirshError)) throw error;
      // As above: of another VM, with its pool. One that libvirt cannot read is stopped by that, and still there.
      if ((await filePools(virsh, "--all")).includes(pool)) return unknown(error.reason);
    }
  }
  return undefined;
}

/** `undefined` for one that was removed since it was listed. */
async function volumeOf(virsh: Virsh, pool: string, volume: string): Promise<VolumeXml | undefined> {
  try {
    return parseVolume(await virsh.run("vol-dumpxml", volume, "--pool", pool));
  } catch (error) {
    if ((await volumesIn(virsh, pool)).has(volume)) throw error;
    return undefined;
  }
}
