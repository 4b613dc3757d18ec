import { Command, Option } from "commander";
import { type ChangeOptions, runChange, withChangeOptions } from "../change.ts";
import { openStack } from "../open-stack.ts";

const examples = `
Examples:
  project-vm destroy myapp              # the project disk stays, unless its config says \`keepData: false\`
  project-vm destroy myapp --keep-data  # it stays in any case
  project-vm destroy myapp --purge      # it goes too, for good; backups stay

\`project-vm create\` with the same name takes a kept disk up again, \`project-vm purge\` removes it.`;

interface DestroyOptions extends ChangeOptions {
  keepData?: true;
  purge?: true;
}

/** `project-vm destroy`: removes a project and its VM. */
export function destroyCommand(): Command {
  return withChangeOptions(new Command("destroy"))
    .description("remove a project and its VM; says what is kept, and asks for the name")
    .argument("<name>")
    .addOption(new Option("--keep-data", "keep the project disk, whatever its config says").conflicts("purge"))
    .option("--purge", "remove the project disk too, for good")
    .addHelpText("after", examples)
    .action(async (name: string, options: DestroyOptions, command: Command) => {
      const open = await openStack(command);
      const { stack, host, log } = open;
      const { placeOf } = await import("../../src/engine/change.ts");
      const { describeChanges } = await import("../../src/engine/events.ts");
      const { destroyProject } = await import("../../src/engine/project-changes.ts");
      const { askForName } = await import("../ask.ts");
      const fate = options.keepData ? "kept" : options.purge ? "purged" : undefined;
      const removal = { name, host, fate } as const;
      await runChange(
        open,
        options,
        async (confirm) => ((await destroyProject(placeOf(stack), removal, confirm, log)) ? [] : undefined),
        (told, isConfirmed) => askForName(name, describeChanges(told), isConfirmed),
      );
    });
}
