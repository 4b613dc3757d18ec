import { posix } from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { domainName, poolName } from "../core/names.ts";
import { shellWord } from "../core/shell-word.ts";
import { knownUserOf, usersOfFiles } from "../libvirt/disk-users.ts";
import { parseVolume, type VolumeXml } from "../libvirt/libvirt-xml.ts";
import type { OwnFiles } from "../libvirt/pool-look.ts";
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
  const isNoRaw = ({ path }: Volume) => !raws.includes(path);
  const others = [...volumes, ...elsewhere].filter(isNoRaw);
  const ours = volumes.filter(({ name }) => ownNames.includes(name));
  const overlays = ours.flatMap((own) => {
    const tops = topsOn(own, others);
    return tops.length > 1 ? [sideBySide(own, tops)] : tops.map((top) => overlayIssue(own, top));
  });
  return overlays.length > 0 ? overlays : strays(volumes.filter(isNoRaw), volumes);
}

const baseOf = ({ backingPath }: Volume) => backingPath && posix.normalize(backingPath);

/** Of all that stand on a file, by whatever way, those that nothing stands on: they have what was written last. */
function topsOn(volume: Volume, volumes: Volume[]): Volume[] {
  const overlays = volumes.filter((one) => baseOf(one) === volume.path);
  const rest = volumes.filter((one) => !overlays.includes(one));
  return overlays.flatMap((overlay) => {
    const above = topsOn(overlay, rest);
    return above.length > 0 ? above : [overlay];
  });
}

/** Overlays in the project's folder on a file that was there and is gone: what that stood on is not known. */
function strays(volumes: Volume[], all: Volume[]): Issue[] {
  return volumes.flatMap((volume) => {
    const base = baseOf(volume);
    const isOwn = base !== undefined && posix.dirname(base) === posix.dirname(volume.path);
    const isOverlay = isOwn && !ownNames.includes(posix.basename(base));
    return isOverlay && !all.some(({ path }) => path === base) ? [strayIssue(volume.path, base)] : [];
  });
}

const strayIssue = (path: string, base: string): Issue => ({
  path,
  rule: `must stand on what is there, but ${base} is not: if that stood on our disk, as a snapshot leaves it, both have what was written since`,
  remedy: `put ${base} back where it was; if ${path} is nothing of this project's disk, move it away`,
});

/** Only one can be written back: what the others were laid on is another then. */
function sideBySide({ path }: Volume, tops: Volume[]): Issue {
  const names = tops.map((top) => top.path);
  const rule = `must have no overlay, but ${names.join(" and ")} stand on it side by side, each with what was written since a snapshot`;
  const copy = "qemu-img convert -O qcow2 <overlay> <copy>";
  const look = "qemu-img info --backing-chain <overlay> | grep 'data file:'";
  const commit = `qemu-img commit -b ${shellWord(path)} <overlay>`;
  const remedy = `only one of them can be written back into ours, which spoils the others: on the host, copy those first: ${copy}; then write that one back: ${look} || ${commit}; then move all of them away`;
  return { path, rule, remedy };
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
export async function requireNoOverlay(virsh: BatchVirsh, project: string, log: Log): Promise<void> {
  const [domain, pool] = [domainName(project), poolName(project)];
  const files = [...(await volumesIn(virsh, pool))].flatMap(([name, path]) => (ownNames.includes(name) ? [path] : []));
  if (files.length === 0) return;
  const places = { domain, pool, files, isData: true, onlyAbove: true, log };
  const users = await usersOfFiles(virsh, shellFor(virsh.uri), places);
  // Each with what it stands on.
  const overlays = new Map(
    users.flatMap(({ overlays: chain = [], file = "" }) =>
      chain.map((path, i): [string, string] => [path, chain[i + 1] ?? file]),
    ),
  );
  const theirs = [...overlays].map(async ([path, backingPath]) => ({ ...(await lookAt(virsh, path)), backingPath }));
  const ours = files.map((path) => lookAt(virsh, path));
  const issues = overlayIssues(await Promise.all(ours), [], await Promise.all(theirs));
  const alone = issues.length > 0 ? [] : await straysAmong(virsh, places);
  if (issues.length + alone.length === 0) return;
  throw new UserError(`${project} is not defined on its disks. Nothing on them was changed.`, [...issues, ...alone]);
}

/** What another domain has is that one's, whatever a guest wrote on it. */
async function straysAmong(virsh: BatchVirsh, places: OwnFiles): Promise<Issue[]> {
  const names = [...(await volumesIn(virsh, places.pool)).keys()];
  const volumes = await Promise.all(names.map((name) => lookAt(virsh, name, "--pool", places.pool)));
  const found = strays(volumes, volumes);
  if (found.length === 0) return [];
  const files = found.map(({ path }) => path);
  const users = await usersOfFiles(virsh, shellFor(virsh.uri), { ...places, files, onlyAbove: false });
  return found.filter(({ path }) => knownUserOf(users, path) === undefined);
}

/** When a file was written to last, and what it stands on; of one that is in no pool that is not known. */
async function lookAt(virsh: Virsh, ...volume: [string, ...string[]]): Promise<Volume> {
  const [path] = volume;
  const name = posix.basename(path);
  try {
    return parseVolume(await virsh.run("vol-dumpxml", ...volume));
  } catch (error) {
    if (error instanceof VirshError) return { name, path };
    throw error;
  }
}
