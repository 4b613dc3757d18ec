import { Command } from "commander";
import { cpusArgument, given, memoryArgument, sizeArgument } from "../arguments.ts";
import { type ChangeOptions, runChange, withChangeOptions } from "../change.ts";
import { openStack } from "../open-stack.ts";

const examples = `
Examples:
  project-vm resize myapp --disk "100 GiB"              # grows in place, while the VM runs
  project-vm resize myapp --memory "16 GiB" --cpus 8    # the VM restarts
  project-vm resize myapp --disk "100 GiB" --dry-run

Disks are never made smaller. All data is kept.`;

/** `project-vm resize`: other sizes for a project's VM. */
export function resizeCommand(): Command {
  return withChangeOptions(new Command("resize"))
    .description("give a project's VM more or less memory and CPUs, or bigger disks")
    .argument("<name>")
    .option("--memory <size>", "e.g. `16 GiB`; a bare number is MiB", memoryArgument)
    .option("--cpus <number>", "a whole number", cpusArgument)
    .option("--disk <size>", "of the project disk", sizeArgument)
    .option("--root-disk <size>", "of the root disk", sizeArgument)
    .addHelpText("after", examples)
    .action(resize);
}

interface ResizeOptions extends ChangeOptions {
  memory?: string;
  cpus?: number;
  disk?: string;
  rootDisk?: string;
}

async function resize(name: string, options: ResizeOptions, command: Command): Promise<void> {
  const { memory, cpus, disk, rootDisk, ...how } = options;
  const sizes = given({ memory, cpus, disk, rootDisk });
  if (Object.keys(sizes).length === 0)
    command.error("error: give at least one of --memory, --cpus, --disk, --root-disk");
  const open = await openStack(command);
  const { placeOf } = await import("../../src/engine/change.ts");
  const { changeProject } = await import("../../src/engine/project-changes.ts");
  await runChange(open, how, async (confirm) => {
    return (await changeProject(placeOf(open.stack), name, sizes, confirm, open.log)) ? [] : undefined;
  });
}
