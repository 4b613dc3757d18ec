import { Command } from "commander";
import { openStack } from "./open-stack.ts";

const examples = `
Example:
  project-vm --stack storage export myapp ~/myapp.qcow2

The file is as a backup is, with its SHA-512 beside it; \`project-vm import\` takes it, on any host.`;

/** `project-vm export`: a project disk as a file of this machine. */
export function exportCommand(): Command {
  return new Command("export")
    .description("bring a copy of a project's disk to this machine; the VM may run")
    .argument("<project>")
    .argument("<file>", "must not be there yet")
    .addHelpText("after", examples)
    .action(async (project: string, file: string, _options, command: Command) => {
      const { host, log } = await openStack(command);
      const { exportDisk } = await import("../data/export.ts");
      console.log((await exportDisk(host, project, file, log)).path);
    });
}
