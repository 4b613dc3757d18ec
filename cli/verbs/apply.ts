import { Command } from "commander";
import { type ChangeOptions, mayBegin, runChange, withChangeOptions } from "../change.ts";
import { openStack } from "../open-stack.ts";

const examples = `
Examples:
  project-vm apply                        # says what would be done, and asks
  project-vm apply --stack storage --yes

It is \`pulumi up\` in the product's own words. After an update that was cut off it goes on from there.`;

/** `project-vm apply`: brings the VMs to what the stack's file says. */
export function applyCommand(): Command {
  return withChangeOptions(new Command("apply"))
    .description("bring the stack's VMs to what its file says")
    .addHelpText("after", examples)
    .action(async (options: ChangeOptions, command: Command) => {
      const open = await openStack(command);
      const { placeOf } = await import("../../src/engine/change.ts");
      const { applyStack } = await import("../../src/engine/project-changes.ts");
      await runChange(open, options, (confirm) =>
        applyStack(placeOf(open.stack, mayBegin(options)), confirm, open.log),
      );
    });
}
