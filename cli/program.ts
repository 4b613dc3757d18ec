import { Command } from "commander";
import { rememberedStack } from "../daily/checkout-folder.ts";
import about from "../package.json" with { type: "json" };
import { applyCommand } from "./apply.ts";
import { backupCommand } from "./backup.ts";
import { backupsCommand } from "./backups.ts";
import { completeCommand, completionCommand } from "./completion.ts";
import { consoleCommand } from "./console.ts";
import { cpCommand } from "./cp.ts";
import { createCommand } from "./create.ts";
import { destroyCommand } from "./destroy.ts";
import { doctorCommand } from "./doctor.ts";
import { execCommand } from "./exec.ts";
import { exportCommand } from "./export.ts";
import { imagesCommand } from "./images.ts";
import { importCommand } from "./import.ts";
import { listCommand } from "./list.ts";
import { logsCommand } from "./logs.ts";
import { outputCommand } from "./output.ts";
import { planCommand } from "./plan.ts";
import { purgeCommand } from "./purge.ts";
import { rebuildCommand } from "./rebuild.ts";
import { resizeCommand } from "./resize.ts";
import { restartCommand } from "./restart.ts";
import { snapshotCommand } from "./snapshot.ts";
import { sshCommand } from "./ssh.ts";
import { startCommand } from "./start.ts";
import { statusCommand } from "./status.ts";
import { stopCommand } from "./stop.ts";
import { useCommand } from "./use.ts";

/** The verbs, under the headings of the help. Each has a file of its own, named as it is. */
const verbs: Record<string, (() => Command)[]> = {
  "VMs:": [createCommand, resizeCommand, rebuildCommand, destroyCommand],
  "Every day:": [listCommand, statusCommand, startCommand, stopCommand, restartCommand],
  "In a VM:": [sshCommand, execCommand, cpCommand, logsCommand, consoleCommand],
  "Project disks:": [snapshotCommand, backupCommand, backupsCommand, exportCommand, importCommand, purgeCommand],
  "Stacks and hosts:": [planCommand, applyCommand, outputCommand, doctorCommand, imagesCommand, useCommand],
  "Shells:": [completionCommand],
};

const examples = `
Examples:
  project-vm create myapp 8192 4 100G
  project-vm start myapp --wait && project-vm ssh myapp
  project-vm --stack storage backup myapp --keep 7

It reads the config of a stack, Pulumi.<stack>.yaml, in this folder or the nearest one above that has a Pulumi.yaml.
Progress goes to standard error, answers to standard output. Exit codes: 0 done, 1 failed, 2 not called rightly.`;

/** The command line of project-vm. Its errors are thrown: CommanderError for misuse, whatever a verb throws for the rest. */
export function buildProgram(): Command {
  const program = new Command("project-vm")
    .description("One VM for each software project, on hosts that you own.")
    .version(about.version, "-V, --version", "print the version")
    .option("-s, --stack <name>", "the stack, and so the host", rememberedStack(process.cwd()))
    .addHelpText("after", examples);
  for (const [heading, commands] of Object.entries(verbs)) {
    for (const command of commands) program.addCommand(command().helpGroup(heading));
  }
  program.addCommand(completeCommand(), { hidden: true });
  throwErrors(program);
  return program;
}

/** Commander ends the process by itself, unless every single command is told not to. */
function throwErrors(command: Command): void {
  command.exitOverride();
  for (const sub of command.commands) throwErrors(sub);
}
