import { posix } from "node:path";
import type { HostSettings } from "../config/settings.ts";
import { type Issue, UserError } from "../core/errors.ts";
import { poolName } from "../core/names.ts";
import { rawAmong } from "../libvirt/backing-files.ts";
import { isConsolePool } from "../libvirt/console-log.ts";
import { rawDisks } from "../libvirt/domain-disks.ts";
import { type Inventory, type PoolFound, takeInventory, type VolumeFound } from "../libvirt/inventory.ts";
import { fileTypes, oddNames } from "../libvirt/pool-volumes.ts";
import { shellFor } from "../libvirt/shell.ts";
import { hostUnreachable } from "../libvirt/unreachable.ts";
import { withVirshSession } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { virshInShell } from "../libvirt/virsh-line.ts";
import { basePool, imageUsage, isNamed } from "./usage.ts";

/** A host whose base images are looked at: its libvirt, and its folder for VMs. */
export type ImageHost = Pick<HostSettings, "uri" | "storageDir">;

/** Seconds for all pools of a host to be read again. */
const refreshSeconds = 300;

/** What has no backing file: devices, CD images, what is on the network. */
const standsAlone = /^\/dev\/|\.iso$|^\w+:\/\//;

/**
 * An inventory of a host with the volumes of all its active pools, also of those outside `storageDir`. Changes nothing.
 *
 * @throws UserError when the pool of the base images is there and not active: nothing in it could be seen
 */
export async function lookAtImages({ uri }: ImageHost): Promise<Inventory> {
  const inventory = await takeInventory({ uri, storageDir: "/", virtualization: "emulated" });
  const base = basePool(inventory);
  if (base && !base.active) throw new UserError("The base images cannot be seen.", [inactive(uri, base)]);
  return inventory;
}

/**
 * The same for who is about to remove a base image: all that may stand on one is seen, or nothing is.
 * Pools are read again, for libvirt knows nothing of files that came without it.
 *
 * @throws UserError naming all that hides something: a pool that is not active or cannot be read, a file in no pool
 */
export async function lookAtEverything(host: ImageHost): Promise<Inventory> {
  const counts = await readPoolsAnew(host.uri);
  const inventory = await lookAtImages(host);
  const unread = inventory.pools.filter(({ unread = [] }) => unread.length > 0);
  const changed = inventory.pools.filter(
    ({ name, volumes, unread = [] }) => (counts.get(name) ?? volumes.length) !== volumes.length + unread.length,
  );
  const issues = [
    ...stoppedPools(inventory.pools, host),
    ...unread.map(untold),
    ...changed.map(({ name }) => ({
      path: `pool ${name}`,
      rule: "must let all its volumes be seen, but they changed in the meantime",
      remedy: "run it again when nothing is made or removed there",
    })),
    ...hiddenFiles(await withoutGuestsWord(inventory, host), host, await rootDisksOf(inventory, host)),
  ];
  if (issues.length > 0) throw unseen(issues);
  return inventory;
}

/** The pools that are to be started before it is known what is in them. Pure. */
export const stoppedPools = (pools: Pick<PoolFound, "name" | "path" | "active">[], { uri, storageDir }: ImageHost) =>
  pools.filter((pool) => !pool.active && !isConsolePool(pool, storageDir)).map((pool) => inactive(uri, pool));

/** Has libvirt read all pools of files, and gives how many volumes each one has. */
async function readPoolsAnew(uri: string): Promise<Map<string, number>> {
  try {
    return await withVirshSession(
      uri,
      async (ask) => {
        const [list] = await ask([["pool-list", "--name", "--type", fileTypes]]);
        const names = lines(list?.output ?? "");
        const refreshed = await ask(names.map((name) => ["pool-refresh", name]));
        const failed = refreshed.flatMap(({ ok, error }, i) => (ok ? [] : [unreadable(uri, names[i] ?? "", error)]));
        if (failed.length > 0) throw unseen(failed);
        const volumes = await ask(names.map((name) => ["vol-list", name]));
        return new Map(volumes.map(({ output }, i) => [names[i] ?? "", lines(output).length]));
      },
      refreshSeconds,
    );
  } catch (error) {
    throw error instanceof VirshError ? hostUnreachable(uri, error.reason) : error;
  }
}

/** The same without what libvirt says that a raw disk of a domain stands on: its guest wrote that. */
async function withoutGuestsWord(inventory: Inventory, { uri }: ImageHost): Promise<Inventory> {
  const { pools } = inventory;
  const overlays = pools.flatMap(({ volumes }) => volumes.filter(({ backingPath }) => backingPath));
  const raw = await rawAmong(
    shellFor(uri),
    overlays.map(({ path }) => path),
    rawDisks(inventory),
  );
  const own = ({ backingPath: _, ...volume }: VolumeFound) => volume;
  const withOwn = (volume: VolumeFound) => (raw.has(volume.path) ? own(volume) : volume);
  return { ...inventory, pools: pools.map((pool) => ({ ...pool, volumes: pool.volumes.map(withOwn) })) };
}

/** Those in the folders of projects, whether or not libvirt still has a pool there. */
async function rootDisksOf(inventory: Inventory, { uri, storageDir }: ImageHost): Promise<string[]> {
  if (imageUsage(inventory, storageDir).images.length === 0) return [];
  const depth = ["-mindepth", "2", "-maxdepth", "2"];
  return lines(await shellFor(uri).run(["find", storageDir, ...depth, "-name", "disk.qcow2"]));
}

/** What is in no active pool: its backing file cannot be known. One issue a folder. */
function hiddenFiles(inventory: Inventory, { uri, storageDir }: ImageHost, rootDisks: string[]): Issue[] {
  const { pools, domains } = inventory;
  const { images } = imageUsage(inventory, storageDir);
  const isCounted = (file: string) => images.some(({ name }) => isNamed(file, name));
  const backing = pools.flatMap(({ volumes }) => volumes.flatMap(({ backingPath }) => backingPath ?? []));
  const files = [...backing, ...domains.flatMap(({ diskPaths }) => diskPaths), ...rootDisks]
    .filter((file) => !standsAlone.test(file) && !isCounted(file))
    .map((file) => posix.normalize(file));
  const seen = new Set(pools.filter(({ active, path }) => active && path).map(({ path }) => posix.resolve(path)));
  const hidden = new Map(files.map((file) => [posix.dirname(file), file]));
  return [...hidden]
    .filter(([folder]) => !seen.has(folder))
    .map(([folder, file]) => ({
      path: file,
      rule: "must be in a pool of the host, or nobody can tell which base image it stands on",
      remedy: `make one of its folder: \`${poolOf(folder, { uri, storageDir })}\``,
    }));
}

/** The commands that make a pool of a folder; a project's has the name that its stack will look for. */
function poolOf(folder: string, { uri, storageDir }: ImageHost): string {
  const base = posix.basename(folder);
  const name = posix.dirname(folder) === posix.resolve(storageDir) ? poolName(base) : base;
  return [
    ["pool-define-as", name, "dir", "--target", folder],
    ["pool-start", name],
  ]
    .map((words) => virshInShell(uri, ...words))
    .join(" && ");
}

/** The issue of a pool that shows nothing. */
export function inactive(uri: string, { name }: Pick<PoolFound, "name">): Issue {
  return {
    path: `pool ${name}`,
    rule: "must be active, or what is in it cannot be seen, and may stand on a base image",
    remedy: `start it: \`${virshInShell(uri, "pool-start", name)}\``,
  };
}

function unreadable(uri: string, name: string, reason: string): Issue {
  return {
    path: `pool ${name}`,
    rule: `must let itself be read, but: ${reason}`,
    remedy: `mend that, then start it, for libvirt may have stopped it: \`${virshInShell(uri, "pool-start", name)}\``,
  };
}

const untold = ({ name, path, unread = [] }: PoolFound): Issue => ({
  path: `pool ${name}`,
  rule: `must let all its volumes be seen, but libvirt tells nothing of ${unread.map((file) => JSON.stringify(file)).join(", ")}`,
  remedy: `let libvirt read what is so called in ${path}; ${oddNames}`,
});

const unseen = (issues: Issue[]) =>
  new UserError("No base image was removed: not all that may stand on one can be seen.", issues);

const lines = (output: string) =>
  output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
