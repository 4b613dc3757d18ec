import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import type { ProjectOutput } from "../components/outputs.ts";
import { formatPath } from "../config/errors.ts";
import type { StorageHost } from "../data/project-disk.ts";
import { purgeDisk } from "../data/purge.ts";
import { changeStack, type StackPlace } from "./change.ts";
import { Engine, type Log } from "./engine.ts";
import { type Told, vanishedVms } from "./events.ts";
import { withInterrupts } from "./interrupts.ts";
import { entriesIn, existsAlready, requireProject, withProject } from "./projects.ts";
import { type EntrySettings, withoutEntry, withSettings } from "./stack-file.ts";

/** A project as it is asked for; what is left out is the stack's default. */
export interface NewProject {
  name: string;
  memory?: string;
  cpus?: number;
  disk?: string;
}

/** Is given what an update would do, and says whether it shall be done. */
export type Confirm = (told: Told) => Promise<boolean>;

/**
 * Makes a project's VM, and waits until it is ready. One that an earlier update left half made is finished.
 *
 * @returns what the stack says of the VM; undefined when it was not agreed to
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
    wasThere = Object.hasOwn(entriesIn(text), name);
    return withProject(text, stack, name, settings);
  };
  const engine = await changeStack(
    stack,
    {
      edit,
      confirm: async (told) => {
        const isComplete = wasThere && told.resources === 0 && vanishedVms(told).length === 0;
        if (isComplete) throw existsAlready(formatPath(stack.file, ["projects", name]), name);
        if (wasThere) log(`${name} is in ${stack.file} already and not finished: going on with it`);
        return confirm(told);
      },
    },
    log,
  );
  return engine && projectsIn(await engine.outputs())[name];
}

/**
 * Changes settings of a project, and its VM with them.
 *
 * @returns whether it was agreed to
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
    return withSettings(text, stack.file, name, settings);
  };
  return (await changeStack(stack, { edit, confirm }, log)) !== undefined;
}

/** What of a project is removed, and from where. */
export interface Removal {
  name: string;
  host: StorageHost;
  /** Whether its config has its disk kept. */
  keepsData: boolean;
  /** What becomes of its disk in place of that. */
  fate: "kept" | "purged" | undefined;
}

/**
 * Removes a project: its entry, its VM, and its disk where that is asked for.
 *
 * @param confirm is asked once, with all that goes
 * @returns whether it was agreed to
 */
export async function destroyProject(
  stack: StackPlace,
  { name, host, keepsData, fate }: Removal,
  confirm: Confirm,
  log: Log,
): Promise<boolean> {
  const agreed = async () => true;
  if (fate === "kept" && !keepsData) {
    const fact = `${name}: VM removed, data kept (--keep-data, though its config says \`keepData: false\`)`;
    const withFact = (told: Told) => confirm({ ...told, changes: [fact] });
    // The host deletes by what it was told last.
    if (!(await changeProject(stack, name, { keepData: true }, withFact, log))) return false;
    return removeEntry(stack, name, agreed, log);
  }
  if (fate !== "purged" || !keepsData) return removeEntry(stack, name, confirm, log);
  const fact = `${name}: its project disk DELETED afterwards, with all data and snapshots (--purge); backups stay`;
  const withFact = (told: Told) => confirm({ ...told, changes: [...told.changes, fact] });
  if (!(await removeEntry(stack, name, withFact, log))) return false;
  return purgeDisk(host, name, { file: stack.file, projects: [], backups: false, confirm: agreed }, log);
}

async function removeEntry(stack: StackPlace, name: string, confirm: Confirm, log: Log): Promise<boolean> {
  const edit = (text: string) => {
    requireProject(text, stack, name);
    return withoutEntry(text, stack.file, name);
  };
  return (await changeStack(stack, { edit, confirm }, log)) !== undefined;
}

/**
 * Brings a stack to what its file says.
 *
 * @returns what the stack says of its VMs; undefined when it was not agreed to
 */
export async function applyStack(stack: StackPlace, confirm: Confirm, log: Log): Promise<ProjectOutput[] | undefined> {
  const engine = await changeStack(stack, { edit: (text) => text, confirm }, log);
  return engine && Object.values(projectsIn(await engine.outputs()));
}

/** What an update would do. Starts nothing and changes nothing, not even the lock of an update that was cut off. */
export async function planStack({ name, root }: Pick<StackPlace, "name" | "root">, log: Log): Promise<Told> {
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

const projectsIn = (outputs: OutputMap) => (outputs.projects?.value ?? {}) as Record<string, ProjectOutput>;
