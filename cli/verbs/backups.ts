import { Command } from "commander";
import type { Backup } from "../../src/project-disks/backup.ts";
import { openStack } from "../open-stack.ts";

const columns = {
  NAME: ({ name }: Backup) => name,
  MADE: ({ created }: Backup) => created,
  SIZE: ({ size }: Backup) => size,
};

const examples = `
Examples:
  project-vm backups myapp
  project-vm backups myapp --json | jq -r '.[-1].path'  # where the newest is, on the host`;

/** `project-vm backups`: what backups there are. */
export function backupsCommand(): Command {
  return new Command("backups")
    .description("list the backups of a project's disk, oldest first")
    .argument("<project>")
    .option("--json", "as JSON, with paths on the host; sizes in bytes")
    .addHelpText("after", examples)
    .action(async (project: string, options: { json?: true }, command: Command) => {
      const { host } = await openStack(command);
      const { listBackups } = await import("../../src/project-disks/backup.ts");
      const { printList } = await import("../print.ts");
      printList(await listBackups(host, project), columns, options);
    });
}
