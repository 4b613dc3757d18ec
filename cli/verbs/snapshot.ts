import { Command } from "commander";
import type { Snapshot } from "../../src/project-disks/snapshots.ts";
import { openStack } from "../open-stack.ts";
import { printJson, printList } from "../print.ts";

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

interface Json {
  json?: true;
}

const name = ["<name>", "of the snapshot: a-z, 0-9 and `-`"] as const;

function create(): Command {
  return new Command("create")
    .description("keep the state of now under a name")
    .argument("<project>")
    .argument(...name)
    .option("--json", "as JSON: {name, created, diskSize}, as `list` has it")
    .addHelpText("after", "\nExample:\n  project-vm snapshot create myapp before-upgrade")
    .action(async (project: string, snapshot: string, { json }: Json, command: Command) => {
      const { host, log } = await openStack(command);
      const { createSnapshot } = await import("../../src/project-disks/snapshots.ts");
      const created = await createSnapshot(host, project, snapshot, log);
      if (json) printJson(created);
    });
}

function list(): Command {
  return new Command("list")
    .description("list the snapshots of a project's disk")
    .argument("<project>")
    .option("--json", "as JSON: a list of {name, created, diskSize}; sizes in bytes")
    .addHelpText("after", "\nExample:\n  project-vm snapshot list myapp --json | jq -r '.[-1].name'  # the newest")
    .action(async (project: string, options: Json, command: Command) => {
      const { host } = await openStack(command);
      const { listSnapshots } = await import("../../src/project-disks/snapshots.ts");
      printList(await listSnapshots(host, project), columns, options);
    });
}

const columns = {
  NAME: ({ name }: Snapshot) => name,
  MADE: ({ created }: Snapshot) => created,
  "DISK SIZE": ({ diskSize }: Snapshot) => diskSize ?? "",
};

function restore(): Command {
  return new Command("restore")
    .description("bring the disk back to a snapshot; the state of now becomes a snapshot too")
    .argument("<project>")
    .argument(...name)
    .option("--json", "as JSON: {restored, before}, names of snapshots; `before` has what was there")
    .addHelpText(
      "after",
      "\nExample:\n  project-vm snapshot restore myapp before-upgrade  # a VM that runs is shut down and started",
    )
    .action(async (project: string, snapshot: string, { json }: Json, command: Command) => {
      const { host, log } = await openStack(command);
      const { restoreSnapshot } = await import("../../src/project-disks/snapshots.ts");
      const before = await restoreSnapshot(host, project, snapshot, log);
      if (json) printJson({ restored: snapshot, before });
    });
}

function remove(): Command {
  return new Command("delete")
    .description("delete a snapshot; the disk stays as it is")
    .argument("<project>")
    .argument(...name)
    .option("--json", "as JSON: {deleted}, its name")
    .addHelpText("after", "\nExample:\n  project-vm snapshot delete myapp before-upgrade")
    .action(async (project: string, snapshot: string, { json }: Json, command: Command) => {
      const { host, log } = await openStack(command);
      const { deleteSnapshot } = await import("../../src/project-disks/snapshots.ts");
      await deleteSnapshot(host, project, snapshot, log);
      if (json) printJson({ deleted: snapshot });
    });
}
