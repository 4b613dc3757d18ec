import { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { printJson } from "../print.ts";

const examples = `
Examples:
  project-vm output                           # all that the stack says: how to log in, kept disks, …
  project-vm output myapp
  project-vm output myapp --json | jq -r .ssh

Secrets are not shown: \`pulumi stack output --show-secrets\` does that.`;

/** `project-vm output`: what a stack says of its VMs. */
export function outputCommand(): Command {
  return new Command("output")
    .description("print the outputs of the stack, or of one project: addresses, how to log in, disks")
    .argument("[name]", "of a project")
    .option("--json", "as JSON, as `pulumi stack output --json` has it")
    .addHelpText("after", examples)
    .action(async (name: string | undefined, options: { json?: true }, command: Command) => {
      const { stack, log } = await openStack(command);
      const { printable } = await import("../../src/core/printable.ts");
      const { describeOutputs, stackOutputs } = await import("../../src/engine/stack-outputs.ts");
      const outputs = await stackOutputs(stack, name, log);
      if (options.json) printJson(outputs);
      else console.log(printable(describeOutputs(outputs)));
    });
}
