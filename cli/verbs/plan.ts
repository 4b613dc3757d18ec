import { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { printJson } from "../print.ts";

const examples = `
Examples:
  project-vm plan
  project-vm plan --stack storage --json | jq -r '.changes[]'

It is \`pulumi preview\` in the product's own words: a line for each project that changes.`;

/** `project-vm plan`: what an update would do. */
export function planCommand(): Command {
  return new Command("plan")
    .description("say what an update of the stack would do to its VMs and their data")
    .option("--json", "as JSON: {stack, changes, resources}")
    .addHelpText("after", examples)
    .action(async (options: { json?: true }, command: Command) => {
      const { stack, log } = await openStack(command);
      const { changeLines, describeChanges } = await import("../../src/engine/events.ts");
      const { planStack } = await import("../../src/engine/project-changes.ts");
      const told = await planStack(stack, log);
      const { resources } = told;
      if (options.json) printJson({ stack: stack.name, changes: changeLines(told), resources });
      else console.log(describeChanges(told).join("\n"));
    });
}
