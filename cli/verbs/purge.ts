import { Command } from "commander";
import { openStack } from "../open-stack.ts";
import { printJson } from "../print.ts";

const examples = `
Examples:
  project-vm purge myapp
  project-vm purge myapp --backups --yes

Only a kept disk can be purged: take the project out of the stack's config and run \`pulumi up\` first.`;

interface PurgeOptions {
  backups?: true;
  yes?: true;
  json?: true;
}

/** `project-vm purge`: removes a kept disk for good. */
export function purgeCommand(): Command {
  return new Command("purge")
    .description("remove the disk that was kept of a project, for good")
    .argument("<project>")
    .option("--backups", "remove its backups too")
    .option("--yes", "do not ask")
    .option("--json", "as JSON: {done, removes}, a line for each thing that goes or stays")
    .addHelpText("after", examples)
    .action(async (project: string, options: PurgeOptions, command: Command) => {
      const { stack, host, log } = await openStack(command);
      const { purgeUnclaimed } = await import("../../src/engine/purge.ts");
      const { askForName } = await import("../ask.ts");
      let removes: string[] = [];
      const confirm = (facts: string[]) => {
        removes = facts;
        const lines = ["This removes, for good:", ...facts.map((fact) => `  ${fact}`)];
        return askForName(project, lines, options.yes ?? false);
      };
      const settings = { projects: Object.keys(stack.config.projects), backups: options.backups ?? false, confirm };
      const done = await purgeUnclaimed(stack, host, project, settings, log);
      if (options.json) printJson({ done, removes });
      if (!done) process.exitCode = 1;
    });
}
