import { posix } from "node:path";
import { UserError } from "../config/errors.ts";
import { backupFolder, basePoolName, consoleFolder, poolName } from "../config/names.ts";
import type { Inventory, InventoryHost } from "./inventory.ts";
import { type Shell, shellFor } from "./shell.ts";

/** What of a host's folder for VMs other users of that host may read or change. */
export interface OpenStorage {
  /** Files: disks, seeds, logs, backups. */
  files: string[];
  /** Folders that they may list. */
  folders: string[];
}

/** A shell elsewhere gets all its words as one argument, of which Linux takes 128 KiB. */
const pathsAtOnce = 100;

/** The rights of other users than a file's owner. */
const others = 0o077;

/**
 * What is open, a line each: `f` for a file or `d` for a folder, and its path. A kept disk may have lost its pool, so a folder with
 * one counts as well, unless it is another pool's. The folder for VMs itself counts only where nothing else is in it. No symbolic
 * link is followed. Folders stay passable, for QEMU's user; that shows no names.
 *
 * Usage: <storageDir> <names of others' folders, a line each> <name of a folder of ours>...
 */
const lookScript = `
storage=$1 foreign=$2
shift 2
[ -d "$storage" ] || exit 0
theirs=$(ls -A "$storage") || exit
for disk in "$storage"/*/project.qcow2; do
  name=$(basename "$(dirname "$disk")")
  [ -f "$disk" ] && [ ! -L "$storage/$name" ] || continue
  printf '%s\\n' "$foreign" | grep -qxF -e "$name" || set -- "$@" "$name" "$name.console"
done
for name; do
  theirs=$(printf '%s\\n' "$theirs" | grep -vxF -e "$name")
  [ ! -d "$storage/$name" ] ||
    find "$storage/$name" -maxdepth 2 '(' -type f -perm /077 -o -type d -perm /066 ')' -printf '%y %p\\n' || exit
done
[ -n "$theirs" ] || find "$storage" -maxdepth 0 -perm /066 -printf '%y %p\\n'`;

/** The folders above it are for others to pass too, whatever the user's umask is there. */
const makeScript = 'umask 022; mkdir -p -m 0711 -- "$1"';

/** libvirt makes QEMU's user the owner of what a VM uses, unless its configuration says otherwise. */
const ownershipScript = `
sed -n 's/^ *dynamic_ownership *= *\\([01]\\).*/\\1/p; s/^ *user *= *"+\\{0,1\\}\\(root\\|0\\)".*/root/p' "$1" 2>/dev/null || :`;

/** Looks for what is open, on the host itself and as root. Changes nothing. */
export async function openStorage(shell: Shell, storageDir: string, inventory: Inventory): Promise<OpenStorage> {
  const { own, foreign } = foldersIn(storageDir, inventory);
  const words = ["sh", "-c", lookScript, "sh", storageDir, foreign.join("\n"), ...own];
  const lines = [...new Set((await shell.run(words)).split("\n"))];
  const ofKind = (kind: string) => lines.filter((line) => line.startsWith(kind)).map((line) => line.slice(kind.length));
  return { files: ofKind("f "), folders: ofKind("d ") };
}

/** Takes the rights of others away; what has a file open, as a running VM, keeps it. */
export async function closeStorage(shell: Shell, { files, folders }: OpenStorage): Promise<void> {
  await chmodEach(shell, "go-rwx", files);
  await chmodEach(shell, "go-rw", folders);
}

async function chmodEach(shell: Shell, mode: string, paths: string[]): Promise<void> {
  for (let done = 0; done < paths.length; done += pathsAtOnce) {
    await shell.run(["chmod", mode, "--", ...paths.slice(done, done + pathsAtOnce)]);
  }
}

/** Whether QEMU's user becomes the owner of a VM's disks there, and so needs nobody else's rights to them. */
export async function qemuOwnsDisks(shell: Shell): Promise<boolean> {
  // An embedded host has a configuration of its own.
  if (new URL(shell.uri).searchParams.has("socket")) return true;
  const said = (await shell.run(["sh", "-c", ownershipScript, "sh", "/etc/libvirt/qemu.conf"])).split("\n");
  return !said.includes("0") || said.includes("root");
}

/**
 * Before an update: the folder for VMs is made closed where it is not there yet, and what an earlier version of this product
 * left open is closed.
 *
 * @returns whether others may still read what libvirt shows, because no program can be run there
 */
export async function closeBeforeUpdate(
  { uri, storageDir }: Pick<InventoryHost, "uri" | "storageDir">,
  inventory: Inventory,
): Promise<boolean> {
  const isNew = !inventory.pools.some(({ name }) => name === basePoolName);
  const isOpen = hasOpenVolumes(inventory);
  if (!isNew && !isOpen) return false;
  try {
    const shell = shellFor(uri);
    if (isNew) await shell.run(["sh", "-c", makeScript, "sh", storageDir]);
    if (!isOpen) return false;
    if (!(await qemuOwnsDisks(shell))) return true;
    const { files, folders } = await openStorage(shell, storageDir, inventory);
    await closeStorage(shell, { files, folders: folders.filter((folder) => folder !== storageDir) });
    return false;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return isOpen;
  }
}

/** Whether others may read a volume, as libvirt tells it. */
export const hasOpenVolumes = ({ pools }: Pick<Inventory, "pools">) =>
  pools.some(({ volumes }) => volumes.some(({ mode = 0 }) => (mode & others) !== 0));

/** The names of the folders in the one for VMs that are ours, each a pool's or with the backups, and of those that are others' pools. */
function foldersIn(storageDir: string, { pools }: Pick<Inventory, "pools">): { own: string[]; foreign: string[] } {
  const there = pools.filter(({ path }) => posix.dirname(path) === posix.normalize(storageDir));
  const names = (isOurs: boolean) =>
    there
      .map(({ name, path }) => ({ name, folder: posix.basename(path) }))
      .filter(({ name, folder }) => [basePoolName, poolName(folder)].includes(name) === isOurs)
      .map(({ folder }) => folder);
  const own = names(true);
  return { own: [...own, ...own.map(consoleFolder), backupFolder], foreign: names(false) };
}
