import { Command } from "commander";
import { printableLine } from "../../src/core/printable.ts";
import { printJson } from "../print.ts";

const examples = `
Examples:
  project-vm use storage
  project-vm use          # which one it is`;

/** `project-vm use`: the stack that verbs work on. */
export function useCommand(): Command {
  return new Command("use")
    .description("make a stack the one that verbs work on in this checkout")
    .argument("[stack]", "without one, the name of that stack is printed")
    .option("--json", "as JSON: {stack}")
    .addHelpText("after", examples)
    .action(async (stack: string | undefined, { json }: { json?: true }, command: Command) => {
      if (stack === undefined) {
        const { stack: current } = command.optsWithGlobals<{ stack: string }>();
        if (json) printJson({ stack: current });
        else console.log(printableLine(current));
        return;
      }
      const { readOutline } = await import("../../src/checkout/outline.ts");
      const { rememberStack } = await import("../../src/checkout/checkout-folder.ts");
      const { root } = await readOutline(stack, process.cwd());
      rememberStack(root, stack);
      console.error(`verbs work on ${stack} now, unless --stack says otherwise`);
      if (json) printJson({ stack });
    });
}
