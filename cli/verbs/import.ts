import { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { printJson } from "../print.ts";

const examples = `
Examples:
  project-vm import myapp ~/myapp.qcow2
  project-vm import myapp /var/lib/project-vms/backups/myapp/myapp-20260314T150926Z.qcow2 --on-host

The project must have no disk and no VM on that host. The next \`pulumi up\` with its entry in the config takes the disk up.
To go back to a backup: take the entry out, \`pulumi up\`, purge the disk, import the backup, put the entry back.`;

/** `project-vm import`: a backup, or another qcow2 image, as the disk of a project that has none. */
export function importCommand(): Command {
  return new Command("import")
    .description("put a backup or another qcow2 image as the disk of a project that has none")
    .argument("<project>")
    .argument("<file>", "a .sha512 beside it is heeded")
    .option("--on-host", "the file is on the stack's host, not on this machine")
    .option("--json", "as JSON: {path, size}, of the disk on its host; size in bytes")
    .addHelpText("after", examples)
    .action(async (project: string, file: string, options: { onHost?: true; json?: true }, command: Command) => {
      const { host, log } = await openStack(command);
      const { importDisk } = await import("../../src/project-disks/import.ts");
      const imported = await importDisk(host, project, { file, onHost: options.onHost ?? false }, log);
      if (options.json) printJson(imported);
    });
}
