import { Command } from "commander";
import { cpusArgument, given, memoryArgument, sizeArgument } from "../arguments.ts";
import { type ChangeOptions, mayBegin, runChange, withChangeOptions } from "../change.ts";
import { openStack } from "../open-stack.ts";

const examples = `
Examples:
  project-vm create myapp                  # with the stack's defaults
  project-vm create myapp 16384 8 100G     # 16384 MiB of memory, 8 CPUs, a project disk of 100 GiB
  project-vm create myapp "16 GiB" --yes
  project-vm new                           # asks for everything

It writes the project into the stack's file, as \`pulumi up\` reads it. A kept disk of that name is adopted.`;

/** `project-vm create`: a new project, and its VM. */
export function createCommand(): Command {
  return withChangeOptions(new Command("create"))
    .alias("new")
    .description("make a project's VM, and wait until it is ready")
    .argument("[name]", "without it everything is asked for")
    .argument("[memory]", "e.g. `16 GiB`; a bare number is MiB", memoryArgument)
    .argument("[cpus]", "a whole number", cpusArgument)
    .argument("[disk]", "size of the project disk, e.g. `100 GiB`", sizeArgument)
    .addHelpText("after", examples)
    .action(create);
}

async function create(
  name: string | undefined,
  memory: string | undefined,
  cpus: number | undefined,
  disk: string | undefined,
  options: ChangeOptions,
  command: Command,
): Promise<void> {
  const open = await openStack(command);
  const { stack, log } = open;
  const { placeOf } = await import("../../src/engine/change.ts");
  const { createProject } = await import("../../src/engine/project-changes.ts");
  const { askForProject } = await import("../new-project.ts");
  const project = name === undefined ? await askForProject(stack.config) : { name, ...given({ memory, cpus, disk }) };
  await runChange(open, options, async (confirm) => {
    const made = project && (await createProject(placeOf(stack, mayBegin(options)), project, confirm, log));
    return made && [made];
  });
}
