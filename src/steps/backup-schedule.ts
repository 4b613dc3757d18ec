import { runProgram } from "../core/run-program.ts";
import { say } from "../core/say.ts";
import { shellFor } from "../libvirt/shell.ts";
import { installSchedule, removeSchedule } from "../project-disks/schedule.ts";
import { readScheduleEnvironment } from "../project-disks/schedule-environment.ts";

/**
 * Entry of a command resource: `install` as its creation and update, `remove` as its deletion. What the user should know
 * goes to stderr.
 */
async function main(action: string | undefined): Promise<void> {
  const { uri, project, storageDir, backup } = readScheduleEnvironment(process.env);
  const shell = shellFor(uri);
  if (action === "install") await installSchedule(shell, { project, storageDir, backup }, say);
  else if (action === "remove") await removeSchedule(shell, { project, storageDir });
  else throw new Error("install or remove?");
}

await runProgram(() => main(process.argv[2]));
