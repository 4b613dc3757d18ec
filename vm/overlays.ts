import { posix } from "node:path";
import { type Issue, UserError } from "../config/errors.ts";
import { poolName } from "../config/names.ts";
import { shellWord } from "../config/shell-word.ts";
import { rawAmong } from "../host/backing-files.ts";
import { disksOf } from "../host/domain-disks.ts";
import { parseVolume, type VolumeXml } from "../host/libvirt-xml.ts";
import { namesIn } from "../host/pool-volumes.ts";
import { shellFor } from "../host/shell.ts";
import type { Virsh } from "../host/virsh.ts";

/** What of a volume tells whether it is an overlay. */
type Volume = Pick<VolumeXml, "name" | "path" | "backingPath" | "modified">;

const ownNames = ["disk.qcow2", "project.qcow2"];

/**
 * The overlays that stand on a project's own disks, as external snapshots leave them. Of one that its domain has, the domain tells; once
 * others have undefined that, nothing else does, and a new domain on our disks would lack all that was written since. Pure.
 *
 * @param volumes all of the project's pool
 * @param raws what domains have as raw disks: what a guest wrote at the beginning of one is its own word
 */
export function overlayIssues(volumes: Volume[], raws: string[] = []): Issue[] {
  const others = volumes.filter(({ path }) => !raws.includes(path));
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
 * Looks for such overlays right before a project gets a new domain.
 *
 * @param names of all volumes of its pool
 * @throws UserError naming disk, overlay and remedy; VirshError when libvirt does not tell
 */
export async function requireNoOverlay(virsh: Virsh, project: string, names: string[]): Promise<void> {
  if (names.every((name) => [...ownNames, "seed.iso"].includes(name))) return;
  const pool = poolName(project);
  const volumes: VolumeXml[] = [];
  for (const name of names) volumes.push(parseVolume(await virsh.run("vol-dumpxml", name, "--pool", pool)));
  if (overlayIssues(volumes).length === 0) return;
  const at = (source: string) => volumes.find(({ name }) => source === `${pool}/${name}`)?.path ?? source;
  const raws: string[] = [];
  for (const domain of namesIn(await virsh.run("list", "--all", "--name")))
    for (const { source, format } of await disksOf(virsh, domain)) if (format === "raw") raws.push(at(source));
  const files = volumes.map(({ path }) => path);
  const issues = overlayIssues(volumes, [...(await rawAmong(shellFor(virsh.uri), files, raws))]);
  if (issues.length > 0)
    throw new UserError(`${project} is not defined on its disks. Nothing on them was changed.`, issues);
}
