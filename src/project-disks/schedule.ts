import { readdir } from "node:fs/promises";
import type { BackupSettings } from "../config/backup-settings.ts";
import type { Shell } from "../libvirt/shell.ts";
import { runScript, scriptText } from "./host-script.ts";
import { cronLine, scheduledProjects, unitName, units } from "./schedule-units.ts";

/** A project on the host of a shell. */
export interface ScheduledProject {
  project: string;
  storageDir: string;
}

/**
 * Has a host make the backups of a project by itself, by a systemd timer. Done again, it is as the last time says. On a
 * host without a running systemd nothing is scheduled, and it is said how to do it.
 *
 * @param log is given what the user should know
 * @returns whether it is scheduled
 * @throws UserError when this user may not do that on the host
 * @example await installSchedule(shellFor(uri), { project: "myapp", storageDir: "/vms", backup: { every: "1d", keep: 7 } }, console.error)
 */
export async function installSchedule(
  shell: Shell,
  { backup, ...of }: ScheduledProject & { backup: BackupSettings },
  log: (line: string) => void,
): Promise<boolean> {
  const schedule = { ...of, backup, uri: shell.uri };
  const { name, service, timer } = units(schedule);
  const args = ["install", name, service, timer, scriptText("backup.sh")];
  const answer = await runScript(shell, "schedule.sh", args, "The backups were not scheduled.");
  if (answer.trim() !== "unscheduled") return true;
  log(
    `${of.project}: its backups are NOT scheduled: the host runs no systemd. With cron, as a line of /etc/cron.d/project-vms:`,
  );
  log(cronLine(schedule));
  return false;
}

/** Takes a schedule back. The backups stay; where there is no schedule nothing happens. */
export async function removeSchedule(shell: Shell, of: ScheduledProject): Promise<void> {
  const name = unitName({ ...of, uri: shell.uri });
  await runScript(shell, "schedule.sh", ["remove", name], "The backups are still scheduled.");
}

/**
 * Removes all schedules of a libvirt on this machine, which is about to be removed with all its VMs: each run would fail.
 *
 * @param folder for tests; elsewhere it is systemd's
 * @returns the projects whose backups were scheduled
 */
export async function removeAllSchedules(
  shell: Shell,
  storageDir: string,
  folder = "/etc/systemd/system",
): Promise<string[]> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return []; // no systemd
  });
  const projects = scheduledProjects(files, { storageDir, uri: shell.uri });
  for (const project of projects) await removeSchedule(shell, { project, storageDir });
  return projects;
}
