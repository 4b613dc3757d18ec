import { Command } from "commander";
import { runForAnswer } from "../run-for-answer.ts";

const examples = `
Examples:
  project-vm cp notes.md myapp:project/
  project-vm cp -r myapp:project/dist .
  project-vm cp myapp:project/dump.sql webapp:/tmp/

A path in a VM begins at dev's home; /home/dev/project is the project's own disk.`;

/** `project-vm cp`: files from and to a VM. */
export function cpCommand(): Command {
  return new Command("cp")
    .description("copy files from or to a VM, over SSH")
    .argument("<from>", "`project:path`, or a path of this machine")
    .argument("<to>", "likewise")
    .option("-r, --recursive", "folders with all that is in them")
    .option("--json", "as JSON: {exitCode, stdout, stderr} of scp")
    .addHelpText("after", examples)
    .action(async (from: string, to: string, options: { recursive?: true; json?: true }, command: Command) => {
      const { copyLine, copySide } = await import("../../src/operations/copy.ts");
      const { explainConnection } = await import("../../src/operations/ssh-targets.ts");
      const { log } = await import("../../src/core/progress.ts");
      const sides = { from: copySide(from), to: copySide(to) };
      if (sides.from.project === undefined && sides.to.project === undefined) {
        command.error("error: neither side is in a VM: write `<project>:<path>` for one that is");
      }
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const copy = { ...sides, recursive: options.recursive ?? false };
      process.exitCode = await runForAnswer(await copyLine(stack, copy, process.cwd(), log), options, false);
      const projects = [sides.from.project, sides.to.project].flatMap((project) => project ?? []);
      await explainConnection(process.exitCode, stack, projects, process.cwd());
    });
}
