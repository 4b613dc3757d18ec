import { parseDevices } from "../host/domain-devices.ts";
import { type DiskSource, parseDomain, parseVolume, type VolumeXml } from "../host/libvirt-xml.ts";
import { refreshPool, volumesIn } from "../host/pool-volumes.ts";
import { type Virsh, VirshError } from "../host/virsh.ts";
import { names } from "./replace.ts";

/** Pools of these types hold files, which may have backing files. */
const fileTypes = "dir,fs,netfs";

/** What every project has: it stands on a base image, or on nothing. */
const standsElsewhere = /^(disk\.qcow2|seed\.iso)$/;

/**
 * Another domain than the project's own that has a disk, or an overlay of it: now, or after its next start; else a volume in an
 * active pool whose backing file it is, a clone that is off for one.
 *
 * @returns in words, also where it cannot be known; `undefined` when there is none
 * @throws VirshError when a domain that is there cannot be asked
 */
export async function otherUserOf(virsh: Virsh, own: string, path: string, pool: string): Promise<string | undefined> {
  for (const domain of (await names(virsh)).filter((name) => name !== own)) {
    const { sources, below } = await disksOf(virsh, domain);
    const isUsed = sources.some((disk) => ("path" in disk ? disk.path === path : disk.pool === pool));
    if (isUsed || below.includes(path)) return `the domain ${domain} uses it`;
  }
  return overlayOf(virsh, path);
}

async function disksOf(virsh: Virsh, domain: string): Promise<{ sources: DiskSource[]; below: string[] }> {
  try {
    const views = [await virsh.run("dumpxml", domain), await virsh.run("dumpxml", domain, "--inactive")];
    return {
      sources: views.flatMap((xml) => parseDomain(xml).disks),
      below: views.flatMap((xml) => parseDevices(xml).disks.flatMap(({ chain }) => chain)),
    };
  } catch (error) {
    // Another VM that is taken away at the same time may be gone by now.
    if ((await names(virsh)).includes(domain)) throw error;
    return { sources: [], below: [] };
  }
}

async function overlayOf(virsh: Virsh, path: string): Promise<string | undefined> {
  for (const pool of await activePools(virsh)) {
    try {
      await refreshPool(virsh, pool);
      for (const volume of (await volumeNames(virsh, pool)).filter((name) => !standsElsewhere.test(name))) {
        const found = await volumeOf(virsh, pool, volume);
        if (found?.backingPath === path) return `${found.path} stands on it`;
      }
    } catch (error) {
      if (!(error instanceof VirshError)) throw error;
      // Another VM that is taken away at the same time may be gone by now, with its pool.
      if ((await activePools(virsh)).includes(pool))
        return `whether a volume of the pool ${pool} stands on it is not known (${error.reason})`;
    }
  }
  return undefined;
}

/** `undefined` for one that was removed since it was listed. */
async function volumeOf(virsh: Virsh, pool: string, volume: string): Promise<VolumeXml | undefined> {
  try {
    return parseVolume(await virsh.run("vol-dumpxml", volume, "--pool", pool));
  } catch (error) {
    if ((await volumeNames(virsh, pool)).includes(volume)) throw error;
    return undefined;
  }
}

const volumeNames = async (virsh: Virsh, pool: string) => [...(await volumesIn(virsh, pool)).keys()];

async function activePools(virsh: Virsh): Promise<string[]> {
  const list = await virsh.run("pool-list", "--name", "--type", fileTypes);
  return list.split("\n").flatMap((name) => name.trim() || []);
}
