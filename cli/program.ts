import { Command } from "commander";
import about from "../package.json" with { type: "json" };
import { rememberedStack } from "../src/checkout/checkout-folder.ts";
import { applyCommand } from "./verbs/apply.ts";
import { backupCommand } from "./verbs/backup.ts";
import { backupsCommand } from "./verbs/backups.ts";
import { completeCommand, completionCommand } from "./verbs/completion.ts";
import { consoleCommand } from "./verbs/console.ts";
import { cpCommand } from "./verbs/cp.ts";
import { createCommand } from "./verbs/create.ts";
import { destroyCommand } from "./verbs/destroy.ts";
import { doctorCommand } from "./verbs/doctor.ts";
import { execCommand } from "./verbs/exec.ts";
import { exportCommand } from "./verbs/export.ts";
import { imagesCommand } from "./verbs/images.ts";
import { importCommand } from "./verbs/import.ts";
import { listCommand } from "./verbs/list.ts";
import { logsCommand } from "./verbs/logs.ts";
import { outputCommand } from "./verbs/output.ts";
import { planCommand } from "./verbs/plan.ts";
import { purgeCommand } from "./verbs/purge.ts";
import { rebuildCommand } from "./verbs/rebuild.ts";
import { resizeCommand } from "./verbs/resize.ts";
import { restartCommand } from "./verbs/restart.ts";
import { snapshotCommand } from "./verbs/snapshot.ts";
import { sshCommand } from "./verbs/ssh.ts";
import { startCommand } from "./verbs/start.ts";
import { statusCommand } from "./verbs/status.ts";
import { stopCommand } from "./verbs/stop.ts";
import { useCommand } from "./verbs/use.ts";

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
Progress goes to standard error, answers to standard output. Exit codes: 0 done, 1 failed, 2 usage error.`;

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
