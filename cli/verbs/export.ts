import { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { printJson } from "../print.ts";

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
    .option("--json", "as JSON: {path, size}, of the file; size in bytes")
    .addHelpText("after", examples)
    .action(async (project: string, file: string, { json }: { json?: true }, command: Command) => {
      const { host, log } = await openStack(command);
      const { exportDisk } = await import("../../src/project-disks/export.ts");
      const exported = await exportDisk(host, project, file, log);
      if (json) printJson(exported);
      else console.log(exported.path);
    });
}
