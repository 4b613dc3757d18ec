import { Command } from "commander";
import { openStack } from "./open-stack.ts";

const examples = `
Examples:
  project-vm apply                        # says what would be done, and asks
  project-vm apply --stack storage --yes

It is \`pulumi up\` in the product's own words. After an update that was cut off it goes on from there.`;

/** `project-vm apply`: brings the VMs to what the stack's file says. */
export function applyCommand(): Command {
  return new Command("apply")
    .description("bring the stack's VMs to what its file says")
    .option("--yes", "do not ask")
    .option("--dry-run", "only say what would be done")
    .addHelpText("after", examples)
    .action(async (options: { yes?: true; dryRun?: true }, command: Command) => {
      const { stack, log } = await openStack(command);
      const { placeOf } = await import("../engine/change.ts");
      const { askOrShow } = await import("../engine/confirm.ts");
      const { applyStack, describeReady } = await import("../engine/project-changes.ts");
      const projects = await applyStack(placeOf(stack), askOrShow(options), log);
      if (projects) for (const project of projects) console.log(describeReady(project));
      else if (!options.dryRun) process.exitCode = 1;
    });
}
