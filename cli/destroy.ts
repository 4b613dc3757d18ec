import { Command, Option } from "commander";
import { openStack } from "./open-stack.ts";

const examples = `
Examples:
  project-vm destroy myapp              # the project disk stays, unless its config says \`keepData: false\`
  project-vm destroy myapp --keep-data  # it stays in any case
  project-vm destroy myapp --purge      # it goes too, for good; backups stay

\`project-vm create\` with the same name takes a kept disk up again, \`project-vm purge\` removes it.`;

/** `project-vm destroy`: removes a project and its VM. */
export function destroyCommand(): Command {
  return new Command("destroy")
    .description("remove a project and its VM; says what is kept, and asks for the name")
    .argument("<name>")
    .addOption(new Option("--keep-data", "keep the project disk, whatever its config says").conflicts("purge"))
    .option("--purge", "remove the project disk too, for good")
    .option("--yes", "do not ask")
    .addHelpText("after", examples)
    .action(async (name: string, options: { keepData?: true; purge?: true; yes?: true }, command: Command) => {
      const { stack, host, log } = await openStack(command);
      const { placeOf } = await import("../engine/change.ts");
      const { describeChanges } = await import("../engine/confirm.ts");
      const { destroyProject } = await import("../engine/project-changes.ts");
      const { askForName } = await import("./ask.ts");
      const keepsData = stack.config.projects[name]?.keepData ?? true;
      const fate = options.keepData ? "kept" : options.purge ? "purged" : undefined;
      const confirm = (told: Parameters<typeof describeChanges>[0]) =>
        askForName(name, describeChanges(told), options.yes ?? false);
      if (!(await destroyProject(placeOf(stack), { name, host, keepsData, fate }, confirm, log))) process.exitCode = 1;
    });
}
