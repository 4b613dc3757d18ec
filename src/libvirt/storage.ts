import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { basePoolName } from "../core/names.ts";

/** A folder for VMs and the file system that it is on, or will be. Sizes in bytes. */
export interface StorageFound {
  path: string;
  capacity: number;
  available: number;
  writable: boolean;
  /** Why it is not writable, as in "is on a read-only file system". */
  problem?: string;
}

/** What of a pool tells about the storage that it is on. */
export interface StoragePool {
  name: string;
  path: string;
  active: boolean;
  capacity: number;
  available: number;
}

/**
 * Looks at a folder of this machine or, where it is not there yet, at what it would be made in.
 *
 * @returns undefined where this user may not even look
 */
export async function localStorage(folder: string): Promise<StorageFound | undefined> {
  const nearest = await nearestExisting(path.resolve(folder));
  if (nearest === undefined) return undefined;
  const { blocks, bavail, bsize } = await statfs(nearest);
  const found = { path: folder, capacity: blocks * bsize, available: bavail * bsize };
  const problem = await problemOf(nearest);
  return problem === undefined ? { ...found, writable: true } : { ...found, writable: false, problem };
}

/** What a pool in the folder tells of a remote host's storage: the base images' one, or any other. */
export function poolStorage(folder: string, pools: StoragePool[]): StorageFound | undefined {
  const ours = pools.filter((pool) => pool.active && pool.path.startsWith(`${folder}/`));
  const pool = ours.find(({ name }) => name === basePoolName) ?? ours[0];
  // libvirt's daemon wrote there before; that it cannot now shows when it tries.
  return pool && { path: folder, capacity: pool.capacity, available: pool.available, writable: true };
}

async function nearestExisting(folder: string): Promise<string | undefined> {
  try {
    await stat(folder);
    return folder;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES") return undefined;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    return nearestExisting(path.dirname(folder));
  }
}

async function problemOf(nearest: string): Promise<string | undefined> {
  if (!(await stat(nearest)).isDirectory()) return `${nearest} is not a directory`;
  try {
    await access(nearest, constants.W_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EROFS") return `${nearest} is on a read-only file system`;
    // It is libvirt's daemon, root, that writes there, not this user.
    return code === "EACCES" && process.getuid?.() !== 0 ? undefined : `${nearest} cannot be written to (${code})`;
  }
}
