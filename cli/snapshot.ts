import { Command } from "commander";
import type { Snapshot } from "../data/snapshots.ts";
import { openStack } from "./open-stack.ts";

const examples = `
Examples:
  project-vm snapshot create myapp before-upgrade   # the VM may run
  project-vm snapshot restore myapp before-upgrade  # the VM is shut down, and started again

Snapshots are in the disk's own file and go with it. Against a broken host disk there is \`project-vm backup\`.`;

/** `project-vm snapshot`: states of a project disk that it can be brought back to. */
export function snapshotCommand(): Command {
  return new Command("snapshot")
    .description("make, list, restore or delete snapshots of a project disk")
    .addHelpText("after", examples)
    .addCommand(create())
    .addCommand(list())
    .addCommand(restore())
    .addCommand(remove());
}

const name = ["<name>", "of the snapshot: a-z, 0-9 and `-`"] as const;

function create(): Command {
  return new Command("create")
    .description("keep the state of now under a name")
    .argument("<project>")
    .argument(...name)
    .action(async (project: string, snapshot: string, _options, command: Command) => {
      const { host, log } = await openStack(command);
      const { createSnapshot } = await import("../data/snapshots.ts");
      await createSnapshot(host, project, snapshot, log);
    });
}

function list(): Command {
  return new Command("list")
    .description("list the snapshots of a project's disk")
    .argument("<project>")
    .option("--json", "as JSON; sizes in bytes")
    .action(async (project: string, options: { json?: true }, command: Command) => {
      const { host } = await openStack(command);
      const { listSnapshots } = await import("../data/snapshots.ts");
      const { printList } = await import("./print.ts");
      printList(await listSnapshots(host, project), columns, options);
    });
}

const columns = {
  NAME: ({ name }: Snapshot) => name,
  MADE: ({ created }: Snapshot) => created,
  "DISK SIZE": ({ diskSize }: Snapshot) => diskSize,
};

function restore(): Command {
  return new Command("restore")
    .description("bring the disk back to a snapshot; the state of now becomes a snapshot too")
    .argument("<project>")
    .argument(...name)
    .action(async (project: string, snapshot: string, _options, command: Command) => {
      const { host, log } = await openStack(command);
      const { restoreSnapshot } = await import("../data/snapshots.ts");
      await restoreSnapshot(host, project, snapshot, log);
    });
}

function remove(): Command {
  return new Command("delete")
    .description("delete a snapshot; the disk stays as it is")
    .argument("<project>")
    .argument(...name)
    .action(async (project: string, snapshot: string, _options, command: Command) => {
      const { host, log } = await openStack(command);
      const { deleteSnapshot } = await import("../data/snapshots.ts");
      await deleteSnapshot(host, project, snapshot, log);
    });
}
