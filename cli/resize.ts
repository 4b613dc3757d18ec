import { Command } from "commander";
import { cpusArgument, given, memoryArgument, sizeArgument } from "../engine/arguments.ts";
import { openStack } from "./open-stack.ts";

const examples = `
Examples:
  project-vm resize myapp --disk "100 GiB"              # grows in place, while the VM runs
  project-vm resize myapp --memory "16 GiB" --cpus 8    # the VM restarts
  project-vm resize myapp --disk "100 GiB" --dry-run

Disks are never made smaller. All data is kept.`;

/** `project-vm resize`: other sizes for a project's VM. */
export function resizeCommand(): Command {
  return new Command("resize")
    .description("give a project's VM more or less memory and CPUs, or bigger disks")
    .argument("<name>")
    .option("--memory <size>", "e.g. `16 GiB`; a bare number is MiB", memoryArgument)
    .option("--cpus <number>", "a whole number", cpusArgument)
    .option("--disk <size>", "of the project disk", sizeArgument)
    .option("--root-disk <size>", "of the root disk", sizeArgument)
    .option("--yes", "do not ask")
    .option("--dry-run", "only say what would be done")
    .addHelpText("after", examples)
    .action(resize);
}

interface ResizeOptions {
  memory?: string;
  cpus?: number;
  disk?: string;
  rootDisk?: string;
  yes?: true;
  dryRun?: true;
}

async function resize(name: string, options: ResizeOptions, command: Command): Promise<void> {
  const { memory, cpus, disk, rootDisk, ...how } = options;
  const sizes = given({ memory, cpus, disk, rootDisk });
  if (Object.keys(sizes).length === 0)
    command.error("error: give at least one of --memory, --cpus, --disk, --root-disk");
  const { stack, log } = await openStack(command);
  const { placeOf } = await import("../engine/change.ts");
  const { askOrShow } = await import("../engine/confirm.ts");
  const { changeProject } = await import("../engine/project-changes.ts");
  if (!(await changeProject(placeOf(stack), name, sizes, askOrShow(how), log)) && !how.dryRun) process.exitCode = 1;
}
