import type { Command } from "commander";
import type { ProjectOutput } from "../src/checkout/outputs.ts";
import type { OperationReport } from "../src/engine/events.ts";
import type { Confirm } from "../src/engine/project-changes.ts";
import type { OpenStack } from "./open-stack.ts";
import { printJson } from "./print.ts";

/** How a verb that changes a stack was called. */
export interface ChangeOptions {
  yes?: true;
  dryRun?: true;
  json?: true;
}

/** What came of it, as `--json` prints it. Keys may be added; none is renamed or taken away. */
export interface ChangeReport {
  stack: string;
  /** A line for each VM that changes, as `project-vm plan` has them. */
  changes: string[];
  /** How many of Pulumi's resources change. */
  resources: number;
  /** False where it was not confirmed, or only shown. */
  done: boolean;
  /** What the stack says of the VMs that were to be made. */
  projects: ProjectOutput[];
}

/** Whether a stack may be begun in a backend that is not the checkout's own: not to look, and not before a question. */
export const mayBegin = ({ yes, dryRun }: ChangeOptions) => yes === true && !dryRun;

/** The options of all verbs that change a stack. */
export function withChangeOptions(command: Command): Command {
  return command
    .option("--yes", "do not ask")
    .option("--dry-run", "only say what would be done")
    .option("--json", "as JSON: {stack, changes, resources, done, projects}");
}

/**
 * Has a stack changed, and says what came of it: in a document, or in a line for each VM that was made.
 *
 * @param change is given what asks; what it gives back is undefined when that said no
 * @param ask asks in another way than by yes or no
 */
export async function runChange(
  { stack }: OpenStack,
  { yes, dryRun, json }: ChangeOptions,
  change: (confirm: Confirm) => Promise<ProjectOutput[] | undefined>,
  ask?: (told: OperationReport, isConfirmed: boolean) => Promise<boolean>,
): Promise<void> {
  const { changeLines, describeChanges } = await import("../src/engine/events.ts");
  const { askToGoOn } = await import("./ask.ts");
  const { describeReady } = await import("../src/engine/project-changes.ts");
  const askToApply = (told: OperationReport, isConfirmed: boolean) =>
    askToGoOn({ facts: describeChanges(told), question: "Do it?", refusal: "Nothing was changed." }, isConfirmed);
  let seen: OperationReport | undefined;
  const projects = await change(async (told) => {
    seen = told;
    if (!dryRun) return (ask ?? askToApply)(told, yes ?? false);
    if (!json) console.log(describeChanges(told).join("\n"));
    return false;
  });
  const done = projects !== undefined;
  const { changes = [], resources = 0 } = seen ?? {};
  const outcome = { resources, done, projects: projects ?? [] };
  const report: ChangeReport = { stack: stack.name, changes: changeLines({ changes }), ...outcome };
  if (json) printJson(report);
  else for (const project of projects ?? []) console.log(describeReady(project));
  if (!done && !dryRun) process.exitCode = 1;
}
