import type { ProjectOutput } from "../checkout/outputs.ts";
import { readPulumiProject } from "../checkout/pulumi-files.ts";
import { type EntrySettings, withoutEntry, withSettings } from "../checkout/stack-file.ts";
import { mayBeDeleted } from "../checkout/stack-state.ts";
import { formatPath, UserError } from "../core/errors.ts";
import type { VmChange } from "../core/records.ts";
import { storedOutputs } from "../guest/stored.ts";
import type { StorageHost } from "../project-disks/project-disk.ts";
import { changeStack, type StackPlace } from "./change.ts";
import { Engine, type Log } from "./engine.ts";
import { type OperationReport, vanishedVms } from "./events.ts";
import { withInterrupts } from "./interrupts.ts";
import { entriesIn, existsAlready, requireProject, withProject } from "./projects.ts";
import { purgeUnclaimed } from "./purge.ts";

/** A project as it is asked for; what is left out is the stack's default. */
export interface NewProject {
  name: string;
  memory?: string;
  cpus?: number;
  disk?: string;
}

/** Is given what an update would do, and says whether it shall be done. */
export type Confirm = (told: OperationReport) => Promise<boolean>;

/**
 * Makes a project's VM, and waits until it is ready. One that an earlier update left half made is finished.
 *
 * @returns what the stack says of the VM; undefined when it was not confirmed
 * @throws UserError when there is such a VM already, or with what went wrong
 */
export async function createProject(
  stack: StackPlace,
  { name, ...settings }: NewProject,
  confirm: Confirm,
  log: Log,
): Promise<ProjectOutput | undefined> {
  let wasThere = false;
  const edit = (text: string) => {
    wasThere = Object.hasOwn(entriesIn(text, stack), name);
    return withProject(text, stack, name, settings);
  };
  const engine = await changeStack(
    stack,
    {
      edit,
      confirm: async (told) => {
        const isComplete = wasThere && !told.projects.includes(name) && !vanishedVms(told).includes(name);
        if (isComplete) throw existsAlready(formatPath(stack.file, ["projects", name]), name);
        if (wasThere) log(`${name} is in ${stack.file} already and not finished: going on with it`);
        return confirm(told);
      },
    },
    log,
  );
  return engine && projectsIn(await engine.outputs(true))[name];
}

/**
 * Changes settings of a project, and its VM with them.
 *
 * @returns whether it was confirmed
 */
export async function changeProject(
  stack: StackPlace,
  name: string,
  settings: EntrySettings,
  confirm: Confirm,
  log: Log,
): Promise<boolean> {
  const edit = (text: string) => {
    requireProject(text, stack, name);
    return withSettings(text, stack.file, name, settings, readPulumiProject(stack.root));
  };
  return (await changeStack(stack, { edit, confirm }, log)) !== undefined;
}

/** What of a project is removed, and from where. */
export interface Removal {
  name: string;
  host: StorageHost;
  /** What becomes of its disk, whatever its config says; undefined: what that says. */
  fate: "kept" | "purged" | undefined;
}

/**
 * Removes a project: its entry, its VM, and its disk where that is asked for.
 *
 * @param confirm is asked with all that goes; a second time only where somebody else changed the stack's file meanwhile
 * @returns whether it was confirmed
 */
export function destroyProject(stack: StackPlace, removal: Removal, confirm: Confirm, log: Log): Promise<boolean> {
  if (removal.fate === "kept") return removeKeepingData(stack, removal.name, confirm, log);
  if (removal.fate === "purged") return removeAndPurge(stack, removal, confirm, log);
  return removeEntry(stack, removal.name, confirm, log);
}

/** The engine deletes a disk by what it was told last, whatever the file says by now: where it may, it is told otherwise first. */
async function removeKeepingData(stack: StackPlace, name: string, confirm: Confirm, log: Log): Promise<boolean> {
  const mayDelete = async () => mayBeDeleted(await new Engine(stack.root, stack.name, log).resources()).includes(name);
  const fact: VmChange = { project: name, kind: "removed", text: "VM removed, data kept (--keep-data)" };
  let isConfirmed = false;
  if (await mayDelete()) {
    const withFact = (told: OperationReport) => confirm({ ...told, changes: [...changesOfOthers(told, name), fact] });
    isConfirmed = await changeProject(stack, name, { keepData: true }, withFact, log);
    if (!isConfirmed) return false;
  }
  const confirmRemoval = async (told: OperationReport) => {
    if (await mayDelete()) throw wouldDelete(stack, name);
    return (isConfirmed && changesOfOthers(told, name).length === 0) || confirm(told);
  };
  return removeEntry(stack, name, confirmRemoval, log);
}

/** The disk goes last, and only if no config has the project by then. */
async function removeAndPurge(
  stack: StackPlace,
  { name, host }: Removal,
  confirm: Confirm,
  log: Log,
): Promise<boolean> {
  const text = "its project disk DELETED afterwards, with all data and snapshots (--purge); backups stay";
  const fact: VmChange = { project: name, kind: "removed", text };
  const withFact = (told: OperationReport) => confirm({ ...told, changes: [...told.changes, fact] });
  if (!(await removeEntry(stack, name, withFact, log))) return false;
  const options = { projects: [], mayBeGone: true, backups: false, confirm: async () => true };
  return purgeUnclaimed(stack, host, name, options, log);
}

/** A line that is no record may be of any project. */
const changesOfOthers = ({ changes }: OperationReport, name: string) =>
  changes.filter((change) => typeof change === "string" || change.project !== name);

function wouldDelete({ file, name: stack }: StackPlace, name: string): UserError {
  return new UserError("Nothing was removed.", [
    {
      path: formatPath(file, ["projects", name]),
      rule: "must have been applied with `keepData: true`, but another update has come in between",
      remedy: `the same command again: project-vm destroy ${name} --keep-data --stack ${stack}`,
    },
  ]);
}

async function removeEntry(stack: StackPlace, name: string, confirm: Confirm, log: Log): Promise<boolean> {
  const edit = (text: string) => {
    requireProject(text, stack, name);
    return withoutEntry(text, stack.file, name, readPulumiProject(stack.root));
  };
  return (await changeStack(stack, { edit, confirm }, log)) !== undefined;
}

/**
 * Brings a stack to what its file says.
 *
 * @returns what the stack says of its VMs; undefined when it was not confirmed
 */
export async function applyStack(stack: StackPlace, confirm: Confirm, log: Log): Promise<ProjectOutput[] | undefined> {
  const engine = await changeStack(stack, { edit: (text) => text, confirm }, log);
  return engine && Object.values(projectsIn(await engine.outputs(true)));
}

/** What an update would do. Starts nothing and changes nothing, not even the lock of an update that was cut off. */
export async function planStack({ name, root }: Pick<StackPlace, "name" | "root">, log: Log): Promise<OperationReport> {
  const engine = new Engine(root, name, log);
  return withInterrupts(engine.pulumi, log, () => engine.preview());
}

/** What asks for a new root disk: a text that was not there before, and that no YAML reader takes for a date. */
export function newRebuild(now: Date): EntrySettings {
  return { rebuild: `on ${now.toISOString().slice(0, 19)}Z` };
}

/** How to get in, in a line. */
export function describeReady({ name, ssh, secondsToReady }: ProjectOutput): string {
  return `${secondsToReady === undefined ? "MADE" : "READY"} ${name}  ${ssh}`;
}

const projectsIn = ({ projects }: Record<string, unknown>) => storedOutputs(projects as Record<string, ProjectOutput>);
