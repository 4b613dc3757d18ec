import { Command } from "commander";
import { openStack } from "./open-stack.ts";

const examples = `
Examples:
  project-vm rebuild myapp
  project-vm rebuild myapp --dry-run

The root disk is made anew from the image of now. The project disk, SSH host keys and logins are kept.`;

/** `project-vm rebuild`: a new root disk for a project's VM. */
export function rebuildCommand(): Command {
  return new Command("rebuild")
    .description("make a VM's root disk anew, from the image of now; all project data is kept")
    .argument("<name>")
    .option("--yes", "do not ask")
    .option("--dry-run", "only say what would be done")
    .addHelpText("after", examples)
    .action(async (name: string, options: { yes?: true; dryRun?: true }, command: Command) => {
      const { stack, log } = await openStack(command);
      const { placeOf } = await import("../engine/change.ts");
      const { askOrShow } = await import("../engine/confirm.ts");
      const { changeProject, newRebuild } = await import("../engine/project-changes.ts");
      const done = await changeProject(placeOf(stack), name, newRebuild(new Date()), askOrShow(options), log);
      if (!done && !options.dryRun) process.exitCode = 1;
    });
}
