import { Command } from "commander";
import { runForAnswer } from "../run-for-answer.ts";

const examples = `
Examples:
  project-vm ssh myapp
  project-vm ssh myapp -- git -C project status
  project-vm ssh myapp -- 'cd project && make test'

The command's words are joined by blanks and read by the guest's shell, as ssh does it. Its exit code is kept; 255 means that
there was no connection.`;

/** `project-vm ssh`: logs in, or runs a command, as dev. */
export function sshCommand(): Command {
  return new Command("ssh")
    .description("log in to a VM as dev, or run a command in it, over SSH")
    .argument("<project>")
    .argument("[command...]", "after `--`")
    .option("--json", "as JSON: {exitCode, stdout, stderr}; without a command {command}, the words that log in")
    .addHelpText("after", examples)
    .action(async (project: string, words: string[], options: { json?: true }, command: Command) => {
      const { sshLine } = await import("../../src/operations/ssh.ts");
      const { explainConnection } = await import("../../src/operations/ssh-targets.ts");
      const { log } = await import("../../src/core/progress.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const line = await sshLine(stack, project, words, process.cwd(), log);
      process.exitCode = await runForAnswer(line, options, words.length === 0);
      await explainConnection(process.exitCode, stack, [project], process.cwd());
    });
}
