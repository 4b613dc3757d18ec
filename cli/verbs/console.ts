import { Command } from "commander";
import { runForAnswer } from "../run-for-answer.ts";

const examples = `
Examples:
  project-vm console myapp
  project-vm console myapp --force  # somebody else has it

Ctrl-] leaves it. What it printed before: project-vm logs myapp`;

/** `project-vm console`: a VM's serial console. */
export function consoleCommand(): Command {
  return new Command("console")
    .description("attach this terminal to a VM's serial console, until Ctrl-]")
    .argument("<project>")
    .option("--force", "take it from whoever has it")
    .option("--json", "as JSON: {command}, the words that attach a terminal")
    .addHelpText("after", examples)
    .action(async (project: string, options: { force?: true; json?: true }, command: Command) => {
      const { consoleLine } = await import("../../src/operations/console.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const line = await consoleLine(stack, project, options.force ?? false, process.cwd());
      process.exitCode = await runForAnswer(line, options, true);
    });
}
