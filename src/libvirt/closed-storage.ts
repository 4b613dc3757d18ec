import { posix } from "node:path";
import { factOf, UserError } from "../core/errors.ts";
import { basePoolName, consoleFolder, poolName } from "../core/names.ts";
import { uriParameters } from "../core/uri-parameters.ts";
import type { Inventory, InventoryHost } from "./inventory.ts";
import { type Shell, shellFor } from "./shell.ts";
import { lookAtStorage, makeStorage, type StorageLook } from "./storage-look.ts";

/** What of a host's folder for VMs other users of that host may read or change. */
export interface OpenStorage {
  /** Files: disks, seeds, logs, backups, base images. */
  files: string[];
  /** Folders that they may list. */
  folders: string[];
  /** Folders in which they can put other files in place of ours. Nothing in these is looked at, or closed. */
  changeable: string[];
}

/** The rights of other users than a file's owner. */
const others = 0o077;

/**
 * What is open, each with a NUL at its end, for a name may have a line break: `in` and a folder, then `f` for a file in it, `d` for the
 * folder itself, and `u` for one that other users may change. To close it is the same, on the host and in the folder itself: between a
 * look and a change of rights by path, a link could take a file's place. Only files of our names count. A kept disk may have lost
 * its pool, so a folder with one counts as well, unless it is another pool's. The folder for VMs itself counts only where nothing
 * else is in it, and that of the backups too. No symbolic link is followed. Folders stay passable, for QEMU's user; that shows no
 * names.
 *
 * Usage: <look|close|close below> <storageDir> <names of others' folders, a line each> <name of a folder of ours>...
 */
const openScript = `
mode=$1 foreign=$3
[ -d "$2" ] || exit 0
storage=$(realpath -- "$2") && theirs=$(ls -A -- "$storage") || exit
shift 3
stamp='[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z'
x='[0-9a-f]'
ours="-name project.qcow2* -o -name disk.qcow2 -o -name seed.iso -o -name console.log*
  -o -name *-$x$x$x$x$x$x$x$x$x$x$x$x.qcow2* -o -name *-$stamp.*"

# Usage: found <rights to take> <what find is to find>...
found() {
  rights=$1
  shift
  if [ "$mode" = look ]; then find . "$@" -printf '%y %P\\0'; else find . "$@" -exec chmod "$rights" -- {} +; fi || exit
}

enter() {
  cd -P -- "$storage/$1" || exit
  printf 'in %s\\0' "$PWD"
}

examine() {
  [ -d "$storage/$1" ] && [ "$(realpath -- "$storage/$1")" = "$storage/$1" ] || return 0
  enter "$1"
  [ "$PWD" = "$storage/$1" ] || return 0
  if [ -n "$(find . -maxdepth 0 '(' -perm /022 -o ! -uid 0 ! -uid "$(id -u)" ')')" ]; then
    printf 'u \\0'
    return
  fi
  found go-rw -maxdepth 0 -perm /066
  set -f
  found go-rwx -mindepth 1 -maxdepth 1 -type f -perm /077 '(' $ours ')'
  set +f
}

for disk in "$storage"/*/project.qcow2; do
  name=\${disk%/*}
  name=\${name##*/}
  case $name in *[!a-z0-9-]*) continue ;; esac
  [ -f "$disk" ] && [ ! -L "$storage/$name" ] || continue
  printf '%s\\n' "$foreign" | grep -qxF -e "$name" || set -- "$@" "$name" "$name.console"
done
for name; do
  theirs=$(printf '%s\\n' "$theirs" | grep -vxF -e "$name")
  examine "$name"
done
strange=''
for folder in "$storage"/backups/*; do
  name=\${folder##*/}
  case $name in '*' | lost+found) continue ;; esac
  if [ -n "$(find "$folder" -mindepth 1 -maxdepth 1 -type f -name "$name-$stamp.*" -print -quit)" ]; then
    examine "backups/$name"
  else
    strange=yes
  fi
done
[ -n "$strange" ] || examine backups
theirs=$(printf '%s\\n' "$theirs" | grep -vxF -e backups -e lost+found)
[ -n "$theirs" ] || [ "$mode" = 'close below' ] || { enter . && found go-rw -maxdepth 0 -perm /066; }`;

/** libvirt makes QEMU's user the owner of what a VM uses, unless its configuration says otherwise. */
const ownershipScript = `
sed -n 's/^ *dynamic_ownership *= *\\([01]\\).*/\\1/p; s/^ *user *= *"+\\{0,1\\}\\(root\\|0\\)".*/root/p' "$1" 2>/dev/null || :`;

/** Looks for what is open, on the host itself and as root. Changes nothing. */
export const openStorage = (shell: Shell, storageDir: string, inventory: Inventory) =>
  runOpenScript(shell, "look", storageDir, inventory);

/**
 * Takes the rights of others away; what has a file open, as a running VM, keeps it.
 *
 * @param mode `close below`: the folder for VMs itself stays as it is
 * @returns the folders in which that was not done, since others may change them
 */
export async function closeStorage(
  shell: Shell,
  storageDir: string,
  inventory: Inventory,
  mode: "close" | "close below" = "close",
): Promise<string[]> {
  return (await runOpenScript(shell, mode, storageDir, inventory)).changeable;
}

async function runOpenScript(
  shell: Shell,
  mode: string,
  storageDir: string,
  inventory: Inventory,
): Promise<OpenStorage> {
  const { own, foreign } = foldersIn(storageDir, inventory);
  const said = await shell.run(["sh", "-c", openScript, "sh", mode, storageDir, foreign.join("\n"), ...own]);
  const found: Record<string, Set<string>> = { f: new Set(), d: new Set(), u: new Set() };
  let folder = "";
  for (const fact of said.split("\0")) {
    const [, kind = "", name = ""] = /^(\w+) ([\s\S]*)$/.exec(fact) ?? [];
    if (kind === "in") folder = name;
    else found[kind]?.add(posix.join(folder, name));
  }
  const [files = [], folders = [], changeable = []] = Object.values(found).map((paths) => [...paths]);
  return { files, folders, changeable };
}

/** Whether QEMU's user becomes the owner of a VM's disks there, and so needs nobody else's rights to them. */
export async function qemuOwnsDisks(shell: Shell): Promise<boolean> {
  // An embedded host has a configuration of its own.
  if (uriParameters(shell.uri).has("socket")) return true;
  const said = (await shell.run(["sh", "-c", ownershipScript, "sh", "/etc/libvirt/qemu.conf"])).split("\n");
  return !said.includes("0") || said.includes("root");
}

/**
 * What of the folder for VMs, and of the folders in it that an update is to make or adopt, is there already. Nothing is asked where
 * libvirt has them all.
 *
 * @returns why it could not be looked at, where no program can be run there
 */
export async function lookBeforeUpdate(
  { uri, storageDir }: Pick<InventoryHost, "uri" | "storageDir">,
  folders: string[],
): Promise<StorageLook | string | undefined> {
  if (folders.length === 0) return undefined;
  try {
    return await lookAtStorage(shellFor(uri), storageDir, folders);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.issues[0] ? factOf(error.issues[0]) : error.message;
  }
}

/**
 * Before an update: the folder for VMs is made closed where it is not there yet, and what an earlier version of this product
 * left open is closed.
 *
 * @param look what was found there before anything was made
 * @returns whether others may still read what libvirt shows, because no program can be run there or because others may change it
 * @throws UserError when another user was faster than the update
 */
export async function closeBeforeUpdate(
  { uri, storageDir }: Pick<InventoryHost, "uri" | "storageDir">,
  inventory: Inventory,
  look: StorageLook | undefined,
): Promise<boolean> {
  const isNew = !inventory.pools.some(({ name }) => name === basePoolName);
  const isOpen = hasOpenVolumes(inventory);
  // libvirt makes it where no program can.
  const inTheWay = isNew && (await ifPossible(() => make(shellFor(uri), storageDir, look)));
  if (inTheWay) {
    const rule = `must be made by this update, but another user of ${uri} has just made it`;
    const remedy = "look at what it is and remove it, then run this again";
    throw new UserError("The folder for VMs is not used.", [{ path: inTheWay, rule, remedy }]);
  }
  if (!isOpen) return false;
  const left = await ifPossible(async () => {
    const shell = shellFor(uri);
    return (await qemuOwnsDisks(shell)) && closeStorage(shell, storageDir, inventory, "close below");
  });
  return !left || left.length > 0;
}

/** One that could not be looked at, as where `find` is another one, is closed from the beginning all the same. */
async function make(shell: Shell, storageDir: string, look: StorageLook | undefined): Promise<string | undefined> {
  if (look) return makeStorage(shell, look);
  await shell.run(["mkdir", "-p", "-m", "0711", "--", storageDir]);
  return undefined;
}

/** Does something on a host; undefined where this user can run no program there, or may not do that. */
async function ifPossible<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return undefined;
  }
}

/** The names of files of ours that libvirt shows, as the script has them. */
const ours = /^(project\.qcow2.*|disk\.qcow2|seed\.iso|console\.log.*|.*-[0-9a-f]{12}\.qcow2.*)$/s;

/** Whether others may read a volume of ours, as libvirt tells it. */
export const hasOpenVolumes = ({ pools }: Pick<Inventory, "pools">) =>
  pools.some(({ volumes }) => volumes.some(({ name, mode = 0 }) => ours.test(name) && (mode & others) !== 0));

/** The names of the folders in the one for VMs that are ours by their pools, and of those that are others' pools. */
function foldersIn(storageDir: string, { pools }: Pick<Inventory, "pools">): { own: string[]; foreign: string[] } {
  const there = pools.filter(({ path }) => posix.dirname(path) === posix.normalize(storageDir));
  const names = (isOurs: boolean) =>
    there
      .map(({ name, path }) => ({ name, folder: posix.basename(path) }))
      .filter(({ name, folder }) => [basePoolName, poolName(folder)].includes(name) === isOurs)
      .map(({ folder }) => folder);
  const own = names(true);
  return { own: [...own, ...own.map(consoleFolder)], foreign: names(false) };
}
