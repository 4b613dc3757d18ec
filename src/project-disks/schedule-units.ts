import { createHash } from "node:crypto";
import { type BackupSettings, intervalSeconds } from "../config/backup-settings.ts";
import { shellWord } from "../core/shell-word.ts";

/** A project whose backups are made by its host itself. */
export interface Schedule {
  project: string;
  storageDir: string;
  /** libvirt's URI as programs on the host use it. */
  uri: string;
  backup: BackupSettings;
}

/** The texts of the two systemd units of a schedule, and what both are called. */
export interface Units {
  /** Without `.service` and `.timer`. */
  name: string;
  service: string;
  timer: string;
}

/** Where the script is on the host. */
export const backupScript = "/usr/local/lib/project-vms/backup.sh";

/**
 * The last resort against a run that hangs, and holds up all that come after it. Whatever a guest or libvirt can hold up has a
 * limit of minutes in the script; what has none is an honest copy, which for terabytes on a slow disk takes hours.
 */
const longestRun = "1d";

/** For a run that is ended, to end QEMU's job and to thaw its guest: the limits of frozen.sh together are six minutes. */
const longestEnd = "10min";

/** What the names of all our units begin with. */
export const unitPrefix = "project-vms-backup-";

const systemLibvirt = "qemu:///system";

/**
 * What both units of a project are called. Another libvirt than the machine's own, such as an embedded host, may have a
 * project of the same name: its units have a digest in their names, behind a dot, which no project's name has.
 */
export function unitName({ project, storageDir, uri }: Omit<Schedule, "backup">): string {
  if (uri === systemLibvirt) return `${unitPrefix}${project}`;
  const digest = createHash("sha256").update(`${uri}\n${storageDir}`).digest("hex").slice(0, 8);
  return `${unitPrefix}${project}.${digest}`;
}

/** The projects of a libvirt that have units among these files of a host's `/etc/systemd/system`. */
export function scheduledProjects(files: string[], of: Pick<Schedule, "storageDir" | "uri">): string[] {
  return files
    .filter((file) => file.startsWith(unitPrefix))
    .flatMap((file) => {
      const project = file.slice(unitPrefix.length).split(".")[0] ?? "";
      return file === `${unitName({ ...of, project })}.timer` ? [project] : [];
    });
}

/**
 * The systemd units that make the backups of a project. The timer looks every hour, or every night when it is about
 * days; the script makes a backup when the newest one is old enough. So any interval will do, and what was missed while
 * the host was off is made up.
 *
 * @param script for tests; elsewhere it is where {@link backupScript} says
 * @example units({ project: "myapp", storageDir: "/vms", uri: "qemu:///system", backup: { every: "1d", keep: 7 } })
 */
export function units(schedule: Schedule, script = backupScript): Units {
  const { project, backup } = schedule;
  return {
    name: unitName(schedule),
    service: unit({
      Unit: { Description: `Backup of the project disk of ${project}`, After: "libvirtd.service virtqemud.socket" },
      Service: {
        Type: "oneshot",
        ExecStart: backupCommand(schedule, script).map(systemdWord).join(" "),
        TimeoutStartSec: longestRun,
        TimeoutStopSec: longestEnd,
        Nice: "10",
        IOSchedulingClass: "idle",
      },
    }),
    timer: unit({
      Unit: { Description: `Backup of the project disk of ${project}, every ${backup.every}` },
      Timer: {
        OnCalendar: isHourly(backup) ? "hourly" : "*-*-* 02:00:00",
        RandomizedDelaySec: isHourly(backup) ? "10min" : "1h",
        Persistent: "true",
      },
      Install: { WantedBy: "timers.target" },
    }),
  };
}

/** The same as a line for cron, on hosts without systemd. */
export function cronLine(schedule: Schedule): string {
  const command = backupCommand(schedule, backupScript).map(shellWord).join(" ");
  // In crontabs a percent sign is a line break.
  return `0 ${isHourly(schedule.backup) ? "*" : "2"} * * * root ${command.replaceAll("%", "\\%")}`;
}

const isHourly = ({ every }: BackupSettings) => every.endsWith("h");

function backupCommand({ project, storageDir, uri, backup }: Schedule, script: string): string[] {
  // The timer itself is late by some minutes, now more, now less: half a round is not waited for.
  const slack = isHourly(backup) ? 1800 : 43_200;
  const within = String(intervalSeconds(backup.every) - slack);
  return [script, "--keep", String(backup.keep), "--unless-within", within, project, storageDir, uri];
}

/** A word of a command line in a unit file. https://www.freedesktop.org/software/systemd/man/systemd.service.html */
function systemdWord(word: string): string {
  const literal = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w./:@%$+=?,-]+$/.test(literal) ? literal : `"${literal.replace(/["\\]/g, "\\$&")}"`;
}

function unit(sections: Record<string, Record<string, string>>): string {
  const text = Object.entries(sections).map(([section, settings]) =>
    [`[${section}]`, ...Object.entries(settings).map(([key, value]) => `${key}=${value}`), ""].join("\n"),
  );
  return ["# Written by Project VMs at each update of the stack.", ...text].join("\n");
}
