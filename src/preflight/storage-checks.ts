import { posix } from "node:path";
import { factOf, formatPath, type Issue } from "../core/errors.ts";
import {
  baseFolder,
  basePoolName,
  consoleFolder,
  domainName,
  hostName,
  isConsoleLog,
  poolName,
} from "../core/names.ts";
import { changeableSteps, type StorageLook } from "../libvirt/storage-look.ts";
import type { HostCheck } from "./host-check.ts";

/** How many of a stranger's files are named; the rest is counted. */
const named = 3;

type Check = Pick<HostCheck, "config" | "host" | "inventory" | "file">;

/** The folders that an update would make or adopt: those of which libvirt knows neither a pool nor a VM yet. Pure. */
export function newFolders({ config, inventory: { pools, domains } }: Pick<Check, "config" | "inventory">): string[] {
  const hasPool = (pool: string) => pools.some(({ name }) => name === pool);
  const projects = Object.keys(config.projects).filter(
    (name) => !hasPool(poolName(name)) && !domains.some((domain) => domain.name === domainName(name)),
  );
  const base = hasPool(basePoolName) ? [] : [baseFolder];
  return [...base, ...projects.flatMap((name) => [name, consoleFolder(name)])];
}

/**
 * What is at the place of folders of ours and is not ours: it would be closed, overwritten or removed with its VM. Pure.
 *
 * @returns where others can put something else: an error while nothing of ours is there, else a warning, as for the VMs that are there
 */
export function checkFolders(check: Check, look: StorageLook): { errors: Issue[]; warnings: string[] } {
  const { config, host, inventory, file } = check;
  const storage = formatPath(file, ["host", "storageDir"]);
  const open = changeableSteps(look).map(({ path, why, remedy }) => ({
    path: storage,
    rule: `must be where no other user of ${inventory.uri} can put other disks, but ${path} ${why}`,
    remedy: `${remedy}; or name another \`storageDir\``,
  }));
  const isNew = !inventory.pools.some(({ name }) => name === basePoolName);
  const foreign = newFolders({ config, inventory }).flatMap((folder) => {
    const name = folder.split(".")[0] ?? folder;
    const path = folder === baseFolder ? storage : formatPath(file, ["projects", name]);
    return folderIssues(path, {
      look,
      folder,
      project: name,
      at: posix.join(host.storageDir, folder),
      uri: inventory.uri,
    });
  });
  return {
    errors: isNew ? [...open, ...foreign] : foreign,
    warnings: isNew ? [] : open.map((issue) => `${factOf(issue)}: ${issue.remedy}`),
  };
}

interface Place {
  look: StorageLook;
  folder: string;
  project: string;
  /** The folder's path. */
  at: string;
  uri: string;
}

function folderIssues(path: string, { look, folder, project, at, uri }: Place): Issue[] {
  const kind = look.steps.find((step) => step.path === at)?.type ?? "d";
  if (!["d", "l"].includes(kind)) {
    const remedy = "choose another name or another storageDir, or move it away";
    return [{ path, rule: `${at} on ${uri} must be a folder, but is something else`, remedy }];
  }
  const inside = look.entries.filter((entry) => posix.dirname(entry.path) === at);
  const names = inside.map((entry) => posix.basename(entry.path));
  const isFile = ({ type }: StorageLook["entries"][number]) => ["f", "l"].includes(type);
  const strangers = inside
    .filter((entry) => !isFile(entry) || !isOurName(folder, posix.basename(entry.path), names))
    .map((entry) => posix.basename(entry.path))
    .filter((name) => name !== "lost+found")
    .sort();
  if (strangers.length > 0) {
    const rule = `${at} on ${uri} must be empty, or hold what was made there before, but has ${listed(strangers)}`;
    return [{ path, rule, remedy: "choose another name or another storageDir, or move that elsewhere" }];
  }
  const meaning = {
    "disk.qcow2": `must be a root disk of ours, but stands on no base image in ${posix.join(look.storageDir, baseFolder)}`,
    "seed.iso": `must be a seed of ${hostName(project)}, but is another file: it would be overwritten`,
  };
  return Object.entries(meaning).flatMap(([name, rule]): Issue[] => {
    const whole = posix.join(at, name);
    if (!names.includes(name) || look.own.includes(whole)) return [];
    return [
      {
        path,
        rule: `${whole} on ${uri} ${rule}`,
        remedy: `choose another name or another storageDir, or move it away`,
      },
    ];
  });
}

/** Whether updates, imports, restores and others' snapshots of ours make files of that name. */
function isOurName(folder: string, name: string, beside: string[]): boolean {
  if (folder === baseFolder) return /-[0-9a-f]{12}\.qcow2(\.sha512)?$/.test(name);
  if (isConsoleLog(name)) return true;
  if (folder.endsWith(consoleFolder(""))) return false;
  const [, disk] = /^(disk|project)\..+$/s.exec(name) ?? [];
  return /^(project\.qcow2.*|seed\.iso)$/s.test(name) || (disk !== undefined && beside.includes(`${disk}.qcow2`));
}

const listed = (names: string[]) =>
  names.length > named ? `${names.slice(0, named).join(", ")} and ${names.length - named} more` : names.join(", ");
