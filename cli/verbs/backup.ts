import { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { printJson } from "../print.ts";
import { wholeNumber } from "../whole-number.ts";

const examples = `
Examples:
  project-vm backup myapp           # the VM may run
  project-vm backup myapp --keep 7  # afterwards the newest 7 stay

A backup is a compressed qcow2 file on the host. \`project-vm export\` brings one to this machine.`;

/** `project-vm backup`: a whole, checked copy of a project disk, on its host. */
export function backupCommand(): Command {
  return new Command("backup")
    .description("make a backup of a project's disk on its host")
    .argument("<project>")
    .option("--keep <number>", "remove older backups of this project, so many stay", wholeNumber)
    .option("--json", "as JSON: {name, path, created, size}, as `backups` has it")
    .addHelpText("after", examples)
    .action(async (project: string, { json, ...options }: { keep?: number; json?: true }, command: Command) => {
      const { host, log } = await openStack(command);
      const { createBackup } = await import("../../src/project-disks/backup.ts");
      const backup = await createBackup(host, project, options, log);
      if (json) printJson(backup);
      else console.log(backup.path);
    });
}
