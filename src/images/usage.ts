import { posix } from "node:path";
import { baseFolder, basePoolName, poolName } from "../core/names.ts";
import type { Inventory, PoolFound, VolumeFound } from "../libvirt/inventory.ts";

/** What has a file as its backing file, directly. */
export interface StandingOn {
  /** Names of the projects whose disks do, in order. */
  projects: string[];
  /** Paths of all other volumes that do. */
  others: string[];
}

/** A base image on a host. Sizes in bytes, times in seconds since the epoch. */
export interface BaseImage extends StandingOn {
  name: string;
  path: string;
  /** What a guest sees; the least that a root disk on it can have. */
  capacity: number;
  /** What it takes up on the host. */
  allocation: number;
  modified?: number;
  /** The volume `<name>.sha512`, which was written last and says that the image is whole. */
  marker: { path: string; modified?: number } | undefined;
  /** Names of the domains that have the image itself as a disk. */
  domains: string[];
}

/** A base image that is not there, and what stands on it. */
export interface MissingImage extends StandingOn {
  name: string;
  path: string;
}

/** What stands on what, in a host's base images. */
export interface ImageUsage {
  images: BaseImage[];
  missing: MissingImage[];
}

/** What of a host tells how its base images are used. */
export type UsageInventory = Pick<Inventory, "pools" | "domains">;

/**
 * What stands on the base images of a host, as far as the inventory sees: only active pools show their volumes, and an
 * inventory has those of pools under its `storageDir`.
 *
 * @param storageDir the host's folder for VMs, whose `base` has the images
 * @example imageUsage(await takeInventory(host), host.storageDir).images[0]?.projects
 */
export function imageUsage({ pools, domains }: UsageInventory, storageDir: string): ImageUsage {
  const overlays = pools.flatMap((pool) => overlaysIn(pool, storageDir));
  const folder = posix.join(storageDir, baseFolder);
  const base = basePool({ pools });
  if (!base?.active || !isAt(base, folder)) return { images: [], missing: [] };
  const images = base.volumes.filter(isBaseImage).map((volume) => ({
    ...describe(volume, base.volumes),
    ...standingOn(overlays.filter(({ backing }) => isNamed(backing, volume.name))),
    domains: domains
      .filter(({ diskPaths }) => diskPaths.some((disk) => isNamed(disk, volume.name)))
      .map(({ name }) => name),
  }));
  const isThere = (path: string) => base.volumes.some((volume) => volume.path === path);
  const lost = overlays.filter(({ backing }) => posix.dirname(backing) === folder && !isThere(backing));
  const missing = [...new Set(lost.map(({ backing }) => backing))].map((path) => ({
    name: posix.basename(path),
    path,
    ...standingOn(lost.filter(({ backing }) => backing === path)),
  }));
  return { images: images.sort(byName), missing: missing.sort(byName) };
}

/** The pool that has a host's base images. */
export const basePool = ({ pools }: Pick<UsageInventory, "pools">) => pools.find(({ name }) => name === basePoolName);

/** All that stands on an image, each by a name that a user knows it by. */
export function usersOf({ projects, others, domains = [] }: StandingOn & { domains?: string[] }): string[] {
  return [...projects.map((name) => `projects.${name}`), ...others, ...domains.map((name) => `the domain ${name}`)];
}

/** The first digits of the SHA-512 that a base image's name tells; undefined for other files. */
export function digestInName(name: string): string | undefined {
  return /-([0-9a-f]{12})\.qcow2$/.exec(name)?.[1];
}

/**
 * Whether a backing file is a certain base image. By name, which tells the contents: the path may lead through a link, or
 * stand in a `json:` specification.
 */
export function isNamed(backing: string, name: string): boolean {
  return backing.split(/[/"]/).includes(name);
}

/**
 * Whether an image was written to after its marker was: it may not be what was uploaded any more. Where one of the times is not
 * known, nothing speaks against it: an image is not removed, and no VM on it refused, for what nobody knows.
 */
export function isNewerThanMarker({ modified, marker }: Pick<BaseImage, "modified" | "marker">): boolean {
  return modified !== undefined && marker?.modified !== undefined && modified > marker.modified;
}

interface Overlay {
  path: string;
  backing: string;
  project: string | undefined;
}

function overlaysIn(pool: PoolFound, storageDir: string): Overlay[] {
  const folder = posix.basename(pool.path);
  const isProject =
    pool.name === poolName(folder) && posix.join(pool.path, "/") === posix.join(storageDir, folder, "/");
  return pool.volumes.flatMap(({ path, backingPath }) =>
    backingPath === undefined
      ? []
      : [{ path, backing: posix.normalize(backingPath), project: isProject ? folder : undefined }],
  );
}

const isAt = (pool: PoolFound, folder: string) => posix.join(pool.path, "/") === posix.join(folder, "/");

const isBaseImage = ({ name, backingPath }: VolumeFound) =>
  digestInName(name) !== undefined && backingPath === undefined;

function describe({ name, path, capacity, allocation, modified }: VolumeFound, volumes: VolumeFound[]) {
  const marker = volumes.find((volume) => volume.name === `${name}.sha512`);
  return {
    name,
    path,
    capacity,
    allocation,
    ...timeOf(modified),
    marker: marker && { path: marker.path, ...timeOf(marker.modified) },
  };
}

const timeOf = (modified: number | undefined) => (modified === undefined ? {} : { modified });

function standingOn(overlays: Overlay[]): StandingOn {
  const projects = overlays.flatMap(({ project }) => (project === undefined ? [] : [project]));
  const others = overlays.flatMap(({ project, path }) => (project === undefined ? [path] : []));
  return { projects: [...new Set(projects)].sort(), others: others.sort() };
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
