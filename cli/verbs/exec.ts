import { Command } from "commander";
import { printJson } from "../print.ts";

const examples = `
Examples:
  project-vm exec myapp -- systemctl --failed
  project-vm exec myapp --user dev -- claude --version
  project-vm exec myapp -- sh -c 'df -h / | tail -n 1'
  project-vm exec myapp -- tee /etc/motd < motd

It goes through the guest's agent, so it needs no network. The words reach the program as they are, and so does what is piped
in, up to 64 KiB. Its output comes when it has ended, up to 2 MiB, and 0.5 MiB of errors; its exit code is kept, but for 1 in place of 0
where more was written. For that, and what asks questions or takes long, there is \`project-vm ssh\`.`;

/** `project-vm exec`: runs a program in a guest, by its agent. */
export function execCommand(): Command {
  return new Command("exec")
    .description("run a program in a VM as root, through its guest agent, without a network")
    .argument("<project>")
    .argument("<command...>", "after `--`")
    .option("-u, --user <name>", "as whom", "root")
    .option("--json", "as JSON: {exitCode, stdout, stderr}")
    .addHelpText("after", examples)
    .action(async (project: string, words: string[], options: { user: string; json?: true }, command: Command) => {
      const { cutNotice, execIn } = await import("../../src/operations/exec.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const run = { command: words, user: options.user, stdin: process.stdin };
      const { stdout, stderr, exitCode, isCut } = await execIn(stack, project, run, process.cwd());
      if (options.json) {
        printJson({ exitCode, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") });
      } else {
        process.stdout.write(stdout);
        process.stderr.write(stderr);
      }
      if (isCut) console.error(cutNotice(project));
      process.exitCode = exitCode === 0 && isCut ? 1 : exitCode;
    });
}
