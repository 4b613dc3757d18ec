import { Command } from "commander";
import { wholeNumber } from "../whole-number.ts";
import { printStatus } from "./status.ts";

const examples = `
Examples:
  project-vm restart myapp
  project-vm restart myapp --wait`;

interface RestartOptions {
  wait?: true;
  timeout?: number;
  force?: true;
  json?: true;
}

/** `project-vm restart`: shuts a VM down and starts it again. */
export function restartCommand(): Command {
  return new Command("restart")
    .description("shut a VM down and start it again; one that is off is started")
    .argument("<project>")
    .option("-w, --wait", "until it is ready, with each stage as it passes")
    .option("--timeout <seconds>", "how long it may take to shut down before its power is cut", wholeNumber)
    .option("--force", "cut its power at once")
    .option("--json", "what `status --json` then says of it")
    .addHelpText("after", examples)
    .action(async (project: string, { wait, json, ...options }: RestartOptions, command: Command) => {
      const { findVmToStart, restartVm } = await import("../../src/operations/start-and-stop.ts");
      const { log } = await import("../terminal-progress.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      await restartVm(
        await findVmToStart(stack, project, process.cwd(), log),
        { ...options, wait: wait ?? false },
        log,
      );
      if (json) await printStatus(stack, project);
    });
}
