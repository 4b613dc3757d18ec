import { createHash } from "node:crypto";
import { type BackupSettings, parseEvery, parseKeep } from "../config/backup-settings.ts";
import { scriptText } from "./host-script.ts";
import { type Schedule, units } from "./schedule-units.ts";

/** So that a host whose schedule is another version's, with another script, gets this one at the next update. */
const releaseVariable = "PROJECT_VMS_BACKUP_RELEASE";

/** What the command resource of a schedule tells its entry program, `src/steps/backup-schedule.ts`. */
export interface ScheduleEnvironment {
  /** libvirt's URI of the host. */
  uri: string;
  project: string;
  storageDir: string;
  backup: BackupSettings;
}

/** The environment variables that carry it. */
export function scheduleEnvironment({ uri, project, storageDir, backup }: ScheduleEnvironment): Record<string, string> {
  return {
    PROJECT_VMS_URI: uri,
    PROJECT_VMS_PROJECT: project,
    PROJECT_VMS_STORAGE_DIR: storageDir,
    PROJECT_VMS_BACKUP: JSON.stringify(backup),
    [releaseVariable]: releaseOf({ uri, project, storageDir, backup }),
  };
}

/** A digest of all that a schedule puts on its host. */
function releaseOf(schedule: Schedule): string {
  const { service, timer } = units(schedule);
  const texts = [service, timer, scriptText("backup.sh")];
  return createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 12);
}

/** Reads those variables. */
export function readScheduleEnvironment(variables: NodeJS.ProcessEnv): ScheduleEnvironment {
  const required = (variable: string): string => {
    const value = variables[variable];
    if (!value) throw new Error(`${variable} is not set: this program is run by a command resource`);
    return value;
  };
  const { every, keep } = JSON.parse(required("PROJECT_VMS_BACKUP")) as Record<keyof BackupSettings, unknown>;
  return {
    uri: required("PROJECT_VMS_URI"),
    project: required("PROJECT_VMS_PROJECT"),
    storageDir: required("PROJECT_VMS_STORAGE_DIR"),
    backup: { every: parseEvery(every), keep: parseKeep(keep) },
  };
}
