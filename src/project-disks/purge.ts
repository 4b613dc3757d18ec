import { counted } from "../core/counted.ts";
import { UserError } from "../core/errors.ts";
import { formatSize } from "../core/sizes.ts";
import { takeInventory } from "../libvirt/inventory.ts";
import { shellFor } from "../libvirt/shell.ts";
import { type Backup, backupsOf } from "./backup.ts";
import { runScript } from "./host-script.ts";
import {
  type DiskFound,
  findDisk,
  type ProjectDisk,
  projectDisk,
  remedyAmong,
  type StorageHost,
} from "./project-disk.ts";
import { usersOf } from "./users.ts";

/** What a purge needs to know beside the project. */
export interface PurgeOptions {
  /** Files of the stacks whose config has the project on that host, as they are now: its disk is kept for it. */
  claimedIn: () => string[];
  /** All projects of the stack's config: theirs are not kept disks. */
  projects: string[];
  /** Whether it is no mistake when there is nothing to remove. */
  mayBeGone?: boolean;
  /** Whether the disk's backups go too. */
  backups: boolean;
  /** Is given what would be removed, in lines, and says whether it shall be. */
  confirm: (facts: string[]) => Promise<boolean>;
}

const title = "Nothing was removed.";

/**
 * Removes a kept disk for good: the project disk of a project that is no longer in its stack's config, with its
 * snapshots, its pool and, if that is asked for, its backups. Interrupted, it can be done again.
 *
 * @returns whether it was removed; `false` when it was not confirmed
 * @throws UserError when a config has the project, a domain uses the disk, or there is nothing to remove
 */
export async function purgeDisk(
  host: StorageHost,
  project: string,
  options: PurgeOptions,
  log: (line: string) => void,
): Promise<boolean> {
  const disk = projectDisk(host, project);
  refuseClaimed(project, options.claimedIn());
  const inventory = await takeInventory({ ...host, virtualization: "emulated" });
  const users = usersOf(disk, inventory);
  if (users.length > 0) throw new UserError(title, users);
  const shell = shellFor(host.uri);
  const found = await findDisk(shell, disk);
  const backups = await backupsOf(shell, disk).catch((error: unknown) => {
    // What stays need not be known.
    if (options.backups || !(error instanceof UserError)) throw error;
    return undefined;
  });
  const isKept = !Array.isArray(found) || inventory.pools.some(({ name }) => name === disk.pool);
  if (!isKept && !(options.backups && backups?.length)) {
    if (options.mayBeGone) return true;
    throw nothing(disk, Array.isArray(found) ? found : [], options.projects);
  }
  if (!(await options.confirm(facts(disk, Array.isArray(found) ? undefined : found, backups, options.backups))))
    return false;
  // An entry may have come while the question was open.
  refuseClaimed(project, options.claimedIn());
  const args = [project, host.storageDir, shell.uri, options.backups ? "yes" : "no"];
  await runScript(shell, "purge.sh", args, title, { onLine: log });
  log(`${project}: removed`);
  return true;
}

function refuseClaimed(project: string, files: string[]): void {
  if (files.length === 0) return;
  const rule = "must not be there: the disk of a project is kept for it";
  const remedy = `\`project-vm destroy ${project} --purge\` removes VM and disk; or take the entry out, then \`pulumi up\``;
  throw new UserError(
    title,
    files.map((file) => ({ path: `${file}: projects.${project}`, rule, remedy })),
  );
}

function nothing(disk: ProjectDisk, there: string[], projects: string[]): UserError {
  const kept = there.filter((name) => !projects.includes(name));
  return new UserError(title, [
    { path: disk.file, rule: "must be there", remedy: remedyAmong(disk.name, kept, "other disks there") },
  ]);
}

const withSnapshots = ({ snapshots }: DiskFound) =>
  snapshots?.length === 0
    ? []
    : [snapshots ? `with ${counted(snapshots.length, "snapshot")}` : "with all its snapshots"];

function facts(
  disk: ProjectDisk,
  found: DiskFound | undefined,
  backups: Backup[] | undefined,
  withBackups: boolean,
): string[] {
  const lines = found
    ? [
        `${disk.file} on ${disk.host.uri}: ${formatSize(found.virtualSize)}, of which ${formatSize(found.allocated)} are used`,
        ...withSnapshots(found),
      ]
    : [`what is left of ${disk.folder} on ${disk.host.uri}`];
  if (!backups) return [...lines, `(backups in ${disk.backups}: kept; it is not known which are there)`];
  if (backups.length === 0) return lines;
  const size = formatSize(backups.reduce((sum, backup) => sum + backup.size, 0));
  const all = `${counted(backups.length, "backup")} in ${disk.backups}, ${size}`;
  return [...lines, withBackups ? `and ${all}` : `(${all}: kept)`];
}
