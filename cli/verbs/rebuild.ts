import { Command } from "commander";
import { type ChangeOptions, runChange, withChangeOptions } from "../change.ts";
import { openStack } from "../open-stack.ts";

const examples = `
Examples:
  project-vm rebuild myapp
  project-vm rebuild myapp --dry-run

The root disk is recreated from the image of now. The project disk, SSH host keys and logins are kept.`;

/** `project-vm rebuild`: a new root disk for a project's VM. */
export function rebuildCommand(): Command {
  return withChangeOptions(new Command("rebuild"))
    .description("recreate a VM's root disk, from the image of now; all project data is kept")
    .argument("<name>")
    .addHelpText("after", examples)
    .action(async (name: string, options: ChangeOptions, command: Command) => {
      const open = await openStack(command);
      const { placeOf } = await import("../../src/engine/change.ts");
      const { changeProject, newRebuild } = await import("../../src/engine/project-changes.ts");
      await runChange(open, options, async (confirm) => {
        const done = await changeProject(placeOf(open.stack), name, newRebuild(new Date()), confirm, open.log);
        return done ? [] : undefined;
      });
    });
}
