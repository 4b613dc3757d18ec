import { Command } from "commander";

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
    .addHelpText("after", examples)
    .action(async (project: string, words: string[], _options, command: Command) => {
      const { sshTo } = await import("../daily/ssh.ts");
      const { log } = await import("../local/progress.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      process.exitCode = await sshTo(stack, project, words, process.cwd(), log);
    });
}
