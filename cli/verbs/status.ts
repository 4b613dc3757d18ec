import { Command } from "commander";
import type { VmStatus } from "../../src/operations/status.ts";
import { printFacts, printJson, timeText } from "../print.ts";

const examples = `
Examples:
  project-vm status myapp
  project-vm status myapp --json | jq -r '.addresses[0]'`;

/** `project-vm status`: all that is known of one VM. */
export function statusCommand(): Command {
  return new Command("status")
    .description("show a VM: its state, addresses, disks, image, and how it became ready")
    .argument("<project>")
    .option("--json", "as JSON; sizes in bytes, times in seconds")
    .addHelpText("after", examples)
    .action(async (project: string, options: { json?: true }, command: Command) => {
      const { statusOf } = await import("../../src/operations/status.ts");
      const { formatSize } = await import("../../src/core/sizes.ts");
      const { stack } = command.optsWithGlobals<{ stack: string }>();
      const status = await statusOf(stack, project, process.cwd());
      printFacts(status, factsOf(status, formatSize), options);
    });
}

/** Prints a VM as `status --json` does: the answer of verbs that change its state. */
export async function printStatus(stack: string, project: string): Promise<void> {
  const { statusOf } = await import("../../src/operations/status.ts");
  printJson(await statusOf(stack, project, process.cwd()));
}

function backupFact(backup: VmStatus["backup"]) {
  if (!backup) return undefined;
  const every = `every ${backup.every}`;
  if (backup.overdue === null)
    return { text: `${every}; whether there is one is not known`, colour: "yellow" as const };
  const newest = backup.newest ? `the newest is of ${timeText(backup.newest)}` : "there is none";
  return backup.overdue ? { text: `OVERDUE: ${every}, but ${newest}`, colour: "red" as const } : `${every}; ${newest}`;
}

/** What is shown of a VM, by what each line is called. */
export function factsOf(status: VmStatus, formatSize: (bytes: number) => string) {
  const { name, stack, state, inConfig, memory, cpus, addresses, tailnetName, disks, image, ssh } = status;
  const disk = (found: VmStatus["disks"]["root"]) =>
    found ? `${formatSize(found.used)} used of ${formatSize(found.size)}  ${found.path}` : undefined;
  const stages = Object.entries(status.stages).map(([stage, seconds]) => `${stage} ${seconds} s`);
  return {
    project: name,
    stack,
    state: {
      text: inConfig ? state : `${state}, not in the config: the next update takes it away`,
      colour: state === "running" ? ("green" as const) : ("yellow" as const),
    },
    problems: status.problems.length > 0 ? { text: status.problems.join(" | "), colour: "red" as const } : undefined,
    memory,
    cpus: String(cpus),
    addresses: addresses.join(", "),
    "tailnet name": tailnetName ?? undefined,
    "root disk": disk(disks.root),
    "project disk": disk(disks.project),
    image: image ?? undefined,
    backup: backupFact(status.backup),
    "was ready after": status.secondsToReady === null ? undefined : `${status.secondsToReady} s: ${stages.join(", ")}`,
    "log in": ssh,
  };
}
