import { posix } from "node:path";
import { closest } from "fastest-levenshtein";
import { invalidNames } from "../config/name-rules.ts";
import type { HostSettings } from "../config/settings.ts";
import { UserError } from "../core/errors.ts";
import { backupFolder, domainName, poolName } from "../core/names.ts";
import { headerLength, parseHeader } from "../images/qcow2.ts";
import type { Shell } from "../libvirt/shell.ts";
import { parseSnapshots, type Snapshot } from "./disk-image.ts";
import { runScript } from "./host-script.ts";

/** What of a host's settings is needed to work on its project disks. */
export type StorageHost = Pick<HostSettings, "uri" | "storageDir">;

/** Where a project's disk is and what it is called on its host. */
export interface ProjectDisk {
  host: StorageHost;
  /** The project. */
  name: string;
  domain: string;
  pool: string;
  /** The pool's folder; whoever needs the disk for itself for a moment holds a lock on it. */
  folder: string;
  /** The disk itself. */
  file: string;
  /** The folder of its backups. */
  backups: string;
}

/** A disk as it was found. Sizes in bytes. */
export interface DiskFound {
  virtualSize: number;
  /** What it takes up on the host. */
  allocated: number;
  /** Of qcow2's old format: with snapshots it cannot become bigger. */
  isOldFormat: boolean;
  /** undefined: they cannot be read, which holds up only who needs them; see {@link snapshotsOf}. */
  snapshots: Snapshot[] | undefined;
}

/** Where the disk is in the guest. */
export const mountpoint = "/home/dev/project";

/**
 * A project's disk on a host. Looks at nothing.
 *
 * @throws UserError when no project can have that name
 * @example projectDisk({ uri: "qemu:///system", storageDir: "/vms" }, "myapp").file === "/vms/myapp/project.qcow2"
 */
export function projectDisk(host: StorageHost, name: string): ProjectDisk {
  const invalid = invalidNames([name]).get(name);
  if (invalid) {
    const issue = { path: "project", rule: invalid.rule, value: name, remedy: invalid.remedy };
    throw new UserError("There can be no such project.", [issue]);
  }
  const folder = posix.join(host.storageDir, name);
  return {
    host,
    name,
    domain: domainName(name),
    pool: poolName(name),
    folder,
    file: posix.join(folder, "project.qcow2"),
    backups: posix.join(host.storageDir, backupFolder, name),
  };
}

/**
 * Looks at a disk's own file, also while its VM runs.
 *
 * @throws UserError when there is none, naming those that there are, or when it is no qcow2 image
 */
export async function readDisk(shell: Shell, disk: ProjectDisk): Promise<DiskFound> {
  const found = await findDisk(shell, disk);
  if (Array.isArray(found)) throw noDisk(disk, found);
  return found;
}

/** As {@link readDisk}; where there is none, the names of the projects that have one. */
export async function findDisk(shell: Shell, disk: ProjectDisk): Promise<DiskFound | string[]> {
  const title = "The project disk cannot be read.";
  const answer = await runScript(shell, "read-disk.sh", [disk.host.storageDir, disk.name], title);
  const [kind = "", ...lines] = answer.trimEnd().split("\n");
  if (kind === "none") return lines;
  const [start = "", table = ""] = lines.map((line) => Buffer.from(line, "base64"));
  const header = parseHeader(Buffer.from(start).subarray(0, headerLength));
  if (!header) {
    const issue = { path: disk.file, rule: "must be a qcow2 image", remedy: "look at it by hand: qemu-img info" };
    throw new UserError(title, [issue]);
  }
  return {
    virtualSize: header.virtualSize,
    allocated: Number(kind),
    isOldFormat: header.isOldFormat,
    snapshots: parseSnapshots(Buffer.from(table), header.snapshots.count),
  };
}

/** @throws UserError when they cannot be read: their table is damaged, or longer than what read-disk.sh prints of it */
export function snapshotsOf({ file }: ProjectDisk, { snapshots }: DiskFound): Snapshot[] {
  if (snapshots) return snapshots;
  throw new UserError("The snapshots of the project disk cannot be read.", [
    {
      path: file,
      rule: "must have them whole in the first 512 KiB of their table",
      remedy: "look at it by hand: qemu-img check; where it is whole, it has too many: qemu-img snapshot -d",
    },
  ]);
}

function noDisk(disk: ProjectDisk, there: string[]): UserError {
  const { uri } = disk.host;
  return new UserError(`${disk.name} has no project disk on ${uri}.`, [
    { path: disk.file, rule: "must be there", remedy: remedyAmong(disk.name, there, "project disks there") },
  ]);
}

/** What to do about a name that is not among those that there are. */
export function remedyAmong(name: string, there: string[], what: string): string {
  if (there.length === 0) return `there are no ${what}`;
  return `did you mean \`${closest(name, there)}\`? (${what}: ${there.map((one) => `\`${one}\``).join(", ")})`;
}
