import { Command } from "commander";
import { printStatus } from "./status.ts";

const examples = `
Examples:
  project-vm start myapp
  project-vm start myapp --wait && project-vm ssh myapp`;

/** `project-vm start`: starts a VM that is off. */
export function startCommand(): Command {
  return new Command("start")
    .description("start a VM that is off; it then runs through every update")
    .argument("<project>")
    .option("-w, --wait", "until it is ready, with each stage as it passes")
    .option("--json", "what `status --json` then says of it")
    .addHelpText("after", examples)
    .action(async (project: string, options: { wait?: true; json?: true }, command: Command) => {
      const { findVmToStart, startVm } = await import("../../src/operations/start-and-stop.ts");
      const { log } = await import("../terminal-progress.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      await startVm(await findVmToStart(stack, project, process.cwd(), log), options.wait ?? false, log);
      if (options.json) await printStatus(stack, project);
    });
}
