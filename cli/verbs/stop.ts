import { Command } from "commander";
import { wholeNumber } from "../whole-number.ts";
import { printStatus } from "./status.ts";

const examples = `
Examples:
  project-vm stop myapp
  project-vm stop myapp --timeout 300  # it has much to write
  project-vm stop myapp --force        # as if its plug were pulled

It then stays off through every update, until it is started.`;

/** `project-vm stop`: shuts a VM down. */
export function stopCommand(): Command {
  return new Command("stop")
    .description("shut a VM down; after a minute its power is cut, which is said")
    .argument("<project>")
    .option("--timeout <seconds>", "how long it may take", wholeNumber)
    .option("--force", "cut its power at once")
    .option("--json", "what `status --json` then says of it")
    .addHelpText("after", examples)
    .action(async (project: string, options: { timeout?: number; force?: true; json?: true }, command: Command) => {
      const { findVm } = await import("../../src/operations/find-vm.ts");
      const { stopVm } = await import("../../src/operations/start-and-stop.ts");
      const { log } = await import("../terminal-progress.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      await stopVm(await findVm(stack, project, process.cwd()), options, log);
      if (options.json) await printStatus(stack, project);
    });
}
