import { Command } from "commander";
import type { RowState, VmRow } from "../../src/operations/rows.ts";
import { type Colour, timeText } from "../print.ts";

const examples = `
Examples:
  project-vm list
  project-vm list --all-stacks
  project-vm list --json | jq -r '.[] | select(.state == "running") | .name'

States: running, paused, shut off, crashed; not made (the next update makes it), missing (removed on the host by other
means), foreign (somebody else's VM has its name), kept disk (only the disk of a project that is gone).
A DISK SIZE of NONE: the VM has no project disk now; \`project-vm status\` says what to do.
A backup is overdue when there is none from the last two times \`every\`.`;

/** `project-vm list`: the projects of a stack and of its host. */
export function listCommand(): Command {
  return new Command("list")
    .description("list the VMs: of the stack's config, and what else of it is on its host")
    .option("-a, --all-stacks", "of all stacks that this checkout has")
    .option("--json", "as JSON; sizes in bytes")
    .addHelpText("after", examples)
    .action(async (options: { allStacks?: true; json?: true }, command: Command) => {
      const { listStacks, listVms } = await import("../../src/operations/list.ts");
      const { checkoutOf } = await import("../../src/checkout/checkout-folder.ts");
      const { stacksIn } = await import("../../src/checkout/stack-names.ts");
      const { printList } = await import("../print.ts");
      const { failureText } = await import("../../src/core/run-program.ts");
      const folder = process.cwd();
      try {
        if (!options.allStacks) {
          const rows = await listVms(command.optsWithGlobals<{ stack: string }>().stack, folder);
          printList(rows, columnsFor(rows), options);
          return;
        }
        const { rows, failures } = await listStacks(stacksIn(checkoutOf(folder) ?? folder), folder);
        printList(rows, { STACK: ({ stack }: VmRow) => stack, ...columnsFor(rows) }, options);
        for (const { error } of failures) console.error(failureText(error));
        if (failures.length > 0) process.exitCode = 1;
      } finally {
        await tellLostHosts();
      }
    });
}

/** Also where the list fails: the host of a checkout that was moved is not the one that does not answer. */
async function tellLostHosts(): Promise<void> {
  const { lostHostLine, lostHosts } = await import("../../src/embedded-host/lost-hosts.ts");
  const { printable } = await import("../../src/core/printable.ts");
  for (const lost of lostHosts()) console.error(printable(lostHostLine(lost)));
}

/** Whatever is not as its config would have it can be seen at a glance. */
const colours: Partial<Record<RowState, Colour>> = {
  running: "green",
  paused: "yellow",
  crashed: "red",
  missing: "red",
  foreign: "red",
  "shut off": "dim",
  "kept disk": "dim",
};

/** A column for the backups, where a config wants any. */
export function columnsFor(rows: VmRow[]) {
  return rows.some(({ backup }) => backup) ? { ...columns, "NEWEST BACKUP": backupCell } : columns;
}

const backupCell = ({ backup }: VmRow) => {
  if (!backup) return "";
  if (backup.overdue === null) return { text: "not known", colour: "yellow" as const };
  const newest = backup.newest ? timeText(backup.newest) : "none";
  return backup.overdue ? { text: `OVERDUE: ${newest}`, colour: "red" as const } : newest;
};

/** Of a VM whose guest has ejected its disk, or others have detached it: `status` says what to do. */
const noDisk = { text: "NONE", colour: "red" as const };

/** What a table of VMs shows of each. */
export const columns = {
  NAME: ({ name }: VmRow) => name,
  STATE: ({ state, inConfig }: VmRow) => {
    const text = inConfig || state === "kept disk" ? state : `${state}, not in the config`;
    const colour = colours[state];
    return colour ? { text, colour } : text;
  },
  MEMORY: ({ memory }: VmRow) => memory ?? "",
  CPUS: ({ cpus }: VmRow) => (cpus === null ? "" : String(cpus)),
  "DISK USED": ({ disk }: VmRow) => disk?.used ?? "",
  "DISK SIZE": ({ disk, state }: VmRow) => disk?.size ?? (state === "foreign" ? "" : noDisk),
  ADDRESS: ({ addresses }: VmRow) => addresses[0] ?? "",
};
