import { posix } from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { domainName, poolName } from "../core/names.ts";
import { shellWord } from "../core/shell-word.ts";
import { usersOfFiles } from "../libvirt/disk-users.ts";
import { parseVolume, type VolumeXml } from "../libvirt/libvirt-xml.ts";
import { volumesIn } from "../libvirt/pool-volumes.ts";
import { shellFor } from "../libvirt/shell.ts";
import type { BatchVirsh, Virsh } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";

/** What of a volume tells whether it is an overlay. */
type Volume = Pick<VolumeXml, "name" | "path" | "backingPath" | "modified">;

const ownNames = ["disk.qcow2", "project.qcow2"];

/**
 * The overlays that stand on a project's own disks, as external snapshots leave them. Of one that its domain has, the domain tells; once
 * others have undefined that, nothing else does, and a new domain on our disks would lack all that was written since. Pure.
 *
 * @param volumes all of the project's pool
 * @param raws what domains have as raw disks: what a guest wrote at the beginning of one is its own word
 * @param elsewhere what is in other folders
 */
export function overlayIssues(volumes: Volume[], raws: string[] = [], elsewhere: Volume[] = []): Issue[] {
  const others = [...volumes, ...elsewhere].filter(({ path }) => !raws.includes(path));
  return volumes
    .filter(({ name }) => ownNames.includes(name))
    .flatMap((own) => overlaysOn(own, others).map((overlay) => overlayIssue(own, topOf(overlay, others))));
}

const overlaysOn = ({ path }: Volume, volumes: Volume[]) =>
  volumes.filter(({ backingPath }) => backingPath !== undefined && posix.normalize(backingPath) === path);

/** The one that was written to last, of a chain of snapshots. */
function topOf(overlay: Volume, volumes: Volume[]): Volume {
  const [above] = overlaysOn(overlay, volumes);
  return above
    ? topOf(
        above,
        volumes.filter((one) => one !== overlay),
      )
    : overlay;
}

/** A `blockcommit` writes to ours last, and leaves the overlay's file where it was. */
function overlayIssue({ path, modified: ours = 0 }: Volume, { path: overlay, modified = ours }: Volume): Issue {
  const away = `move ${overlay} away`;
  if (modified < ours) {
    const rule = `must have no overlay, but ${overlay} stands on it`;
    return {
      path,
      rule,
      remedy: `its disk was written to since, as by a blockcommit: look whether anything is missing, and ${away}`,
    };
  }
  const rule = `must have no overlay, but ${overlay} stands on it, and has what was written since that snapshot`;
  // What a guest wrote on a raw disk may name any file of the host as its data, which would be written into ours.
  const look = `qemu-img info --backing-chain ${shellWord(overlay)} | grep 'data file:'`;
  const commit = `qemu-img commit -b ${shellWord(path)} ${shellWord(overlay)}`;
  const which = "if it is a snapshot's overlay, not a disk that its guest had as raw";
  return { path, rule, remedy: `on the host, ${which}, write it back into ours: ${look} || ${commit}; then ${away}` };
}

/**
 * Looks for such overlays right before a project gets a new domain, wherever they are: in any pool that is active, or the disk of another
 * domain. What is only not known is no reason to refuse that: a pool of ISO images may be stopped.
 *
 * @throws UserError naming disk, overlay and remedy; VirshError when libvirt does not tell
 */
export async function requireNoOverlay(virsh: BatchVirsh, project: string): Promise<void> {
  const [domain, pool] = [domainName(project), poolName(project)];
  const files = [...(await volumesIn(virsh, pool))].flatMap(([name, path]) => (ownNames.includes(name) ? [path] : []));
  if (files.length === 0) return;
  const places = { domain, pool, files, isData: true, onlyAbove: true };
  const users = await usersOfFiles(virsh, shellFor(virsh.uri), places);
  // Each with what it stands on.
  const overlays = new Map(
    users.flatMap(({ overlays: chain = [], file = "" }) =>
      chain.map((path, i): [string, string] => [path, chain[i + 1] ?? file]),
    ),
  );
  if (overlays.size === 0) return;
  const seen = async (path: string) => ({ name: posix.basename(path), path, ...(await modifiedAt(virsh, path)) });
  const ours = await Promise.all(files.map(seen));
  const theirs = await Promise.all(
    [...overlays].map(async ([path, backingPath]) => ({ ...(await seen(path)), backingPath })),
  );
  const issues = overlayIssues(ours, [], theirs);
  throw new UserError(`${project} is not defined on its disks. Nothing on them was changed.`, issues);
}

/** When a file was written to last; of one that is in no pool that is not known. */
async function modifiedAt(virsh: Virsh, path: string): Promise<Pick<Volume, "modified">> {
  try {
    const { modified } = parseVolume(await virsh.run("vol-dumpxml", path));
    return modified === undefined ? {} : { modified };
  } catch (error) {
    if (error instanceof VirshError) return {};
    throw error;
  }
}
