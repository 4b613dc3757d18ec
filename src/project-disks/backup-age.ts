import { type BackupSettings, intervalSeconds } from "../config/backup-settings.ts";

/** How recent the backups of a project are that its config wants to have, as `--json` prints it. */
export interface BackupAge {
  every: BackupSettings["every"];
  /** The newest finished one, by its host's clock; null: there is none, or it is not known. */
  newest: Date | null;
  /** Whether there is none from the last two times `every`; null: not known. */
  overdue: boolean | null;
}

/** What a look at a host told of its backups. */
export interface BackupsFound {
  /** The host's own clock, by which backups are named. */
  now: Date;
  /** When each project's disk was made there; null: its filesystem does not tell. */
  disks: Map<string, Date | null>;
  /** When the finished backups of each project were made. */
  backups: Map<string, Date[]>;
}

/**
 * Judges the backups of a project: the newest one must be younger than twice `every`. A disk has as long to have its first
 * one; where it is not known when it was made, there should be one. What is stamped in the future tells nothing, and hides
 * nothing. Pure.
 */
export function backupAge(project: string, every: BackupAge["every"], found: BackupsFound | undefined): BackupAge {
  if (!found) return { every, newest: null, overdue: null };
  const { now, disks, backups } = found;
  const past = (dates: (Date | null | undefined)[]) =>
    dates.flatMap((date) => (date && date <= now ? [date.getTime()] : []));
  const stamps = past(backups.get(project) ?? []);
  const since = Math.max(...(stamps.length > 0 ? stamps : past([disks.get(project)])));
  return {
    every,
    newest: stamps.length > 0 ? new Date(Math.max(...stamps)) : null,
    // Without a disk there is nothing to back up.
    overdue: disks.has(project) && now.getTime() - since > 2 * intervalSeconds(every) * 1000,
  };
}
