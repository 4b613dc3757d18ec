import { Command } from "commander";
import type { RowState, VmRow } from "../daily/rows.ts";
import type { Colour } from "./print.ts";

const examples = `
Examples:
  project-vm list
  project-vm list --all-stacks
  project-vm list --json | jq -r '.[] | select(.state == "running") | .name'

States: running, paused, shut off, crashed; not made (the next update makes it), missing (removed on the host by other
means), foreign (somebody else's VM has its name), kept disk (only the disk of a project that is gone).`;

/** `project-vm list`: the projects of a stack and of its host. */
export function listCommand(): Command {
  return new Command("list")
    .description("list the VMs: of the stack's config, and what else of it is on its host")
    .option("-a, --all-stacks", "of all stacks that this checkout has")
    .option("--json", "as JSON; sizes in bytes")
    .addHelpText("after", examples)
    .action(async (options: { allStacks?: true; json?: true }, command: Command) => {
      const { listStacks, listVms } = await import("../daily/list.ts");
      const { checkoutOf, stacksIn } = await import("../daily/checkout-folder.ts");
      const { printList } = await import("./print.ts");
      const folder = process.cwd();
      if (!options.allStacks) {
        printList(await listVms(command.optsWithGlobals<{ stack: string }>().stack, folder), columns, options);
        return;
      }
      const { rows, failures } = await listStacks(stacksIn(checkoutOf(folder) ?? folder), folder);
      printList(rows, { STACK: ({ stack }: VmRow) => stack, ...columns }, options);
      for (const { error } of failures) console.error(error.message);
      if (failures.length > 0) process.exitCode = 1;
    });
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
  "DISK SIZE": ({ disk }: VmRow) => disk?.size ?? "",
  ADDRESS: ({ addresses }: VmRow) => addresses[0] ?? "",
};
