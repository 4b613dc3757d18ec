import { type Issue, UserError } from "../core/errors.ts";
import { type Shell, shellFor } from "../libvirt/shell.ts";
import { stampIn } from "./backup-names.ts";
import { GuestNotThawed } from "./freeze.ts";
import { runScript } from "./host-script.ts";
import { type ProjectDisk, projectDisk, readDisk, type StorageHost } from "./project-disk.ts";

/**
 * Backups of project disks: whole, compressed qcow2 files on the disk's host, each with its SHA-512 beside it. They
 * hold the disk as it was, without its snapshots, and stay when the disk goes.
 */

/** A finished backup on its host. */
export interface Backup {
  /** @example "myapp-20260314T150926Z.qcow2" */
  name: string;
  /** Absolute path on the host. */
  path: string;
  created: Date;
  /** What it takes up, in bytes. */
  size: number;
}

/**
 * Makes a backup of a project's disk. Its VM may run: the guest's filesystem is frozen for a moment only, then the copy
 * is made beside its work. Where the guest's agent does not answer, the backup is as after a power cut, which is said.
 *
 * @param keep how many backups of the project stay; older ones go, but never the one just made. All stay by default
 * @throws UserError when there is no such disk, no room for a backup, or another one is being made; GuestNotThawed when it
 *   was made, and its guest did not thaw
 * @example (await createBackup(host, "myapp", { keep: 7 }, console.error)).path
 */
export async function createBackup(
  host: StorageHost,
  project: string,
  { keep }: { keep?: number },
  log: (line: string) => void,
): Promise<Backup> {
  const disk = projectDisk(host, project);
  const shell = shellFor(host.uri);
  await readDisk(shell, disk);
  const path = await runBackup(shell, disk, keep === undefined ? [] : ["--keep", String(keep)], { onLine: log });
  const made = (await backupsOf(shell, disk)).find((backup) => backup.path === path.trim());
  if (!made) throw new UserError(`The backup ${path.trim()} is gone`);
  return made;
}

/** The finished backups of a project that are on its host, oldest first. The disk itself need not be there. */
export async function listBackups(host: StorageHost, project: string): Promise<Backup[]> {
  return backupsOf(shellFor(host.uri), projectDisk(host, project));
}

/** What the script ends with when there is a backup and its guest may still be frozen. */
const notThawedCode = 3;

/**
 * Runs the script that makes a backup; its answer is what it prints.
 *
 * @throws GuestNotThawed when all else is done
 */
export function runBackup(
  shell: Shell,
  disk: ProjectDisk,
  options: string[],
  run: { onLine: (line: string) => void; stdout?: number },
): Promise<string> {
  const args = [...options, disk.name, disk.host.storageDir, shell.uri];
  const refused = (issue: Issue, exitCode: number | undefined) =>
    exitCode === notThawedCode
      ? new GuestNotThawed(`The backup was made, but the guest of ${disk.domain} may still be frozen.`, [issue])
      : new UserError("No backup was made.", [issue]);
  return runScript(shell, "backup.sh", args, refused, run);
}

/** The same on a host that is being worked on. */
export async function backupsOf(shell: Shell, { name: project, backups }: ProjectDisk): Promise<Backup[]> {
  const files = parseFiles(await runScript(shell, "list-backups.sh", [backups], "The backups cannot be listed."));
  return [...files].flatMap(([name, size]) => {
    const created = stampIn(name, project);
    return created && files.has(`${name}.sha512`) ? [{ name, path: `${backups}/${name}`, created, size }] : [];
  });
}

function parseFiles(lines: string): Map<string, number> {
  const rows = lines.split("\n").map((line) => /^(\d+) \.\/(.*)$/.exec(line));
  return new Map(rows.flatMap((row) => (row ? [[row[2] as string, Number(row[1])]] : [])));
}
