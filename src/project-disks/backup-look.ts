import { shellFor } from "../libvirt/shell.ts";
import type { BackupsFound } from "./backup-age.ts";
import { stampIn } from "./backup-names.ts";
import { runScript } from "./host-script.ts";
import type { StorageHost } from "./project-disk.ts";

/**
 * Looks at the backups of a host by one program, however many projects there are.
 *
 * @throws UserError or ShellError when no program can be run there, or this user may not see them
 */
export async function lookAtBackups(host: StorageHost, projects: string[]): Promise<BackupsFound> {
  const args = [host.storageDir, ...projects];
  return parseFound(await runScript(shellFor(host.uri), "newest-backups.sh", args, "The backups cannot be looked at."));
}

/** Reads what newest-backups.sh prints. */
export function parseFound(printed: string): BackupsFound {
  const found: BackupsFound = { now: new Date(Number.NaN), disks: new Map(), backups: new Map() };
  for (const line of printed.split("\n")) {
    const [, now] = /^now (\d+)$/.exec(line) ?? [];
    if (now) found.now = seconds(now);
    const [, made, disk] = /^disk (\d+) (.*)\/project\.qcow2$/.exec(line) ?? [];
    if (made && disk) found.disks.set(disk, made === "0" ? null : seconds(made));
    const [, project = "", file = ""] = /^backups\/(.*)\/(.*)$/.exec(line) ?? [];
    const stamp = stampIn(file, project);
    if (stamp) found.backups.set(project, [...(found.backups.get(project) ?? []), stamp]);
  }
  return found;
}

const seconds = (text: string) => new Date(Number(text) * 1000);
