import type { NameBefore } from "../core/names.ts";
import { markedStack } from "../core/names.ts";
import { storedOutputs } from "../guest/stored.ts";
import { checkpointFile, readCheckpoint, stateFolder } from "./checkpoint.ts";
import type { ProjectOutput } from "./outputs.ts";

/** What a stack's last update left in its state. */
export interface StackState {
  /** Names of the projects whose VMs are in it. */
  vms: string[];
  /** Names of the projects whose VMs an update can remove: of those it has the teardown. */
  removable: string[];
  /** What the stack says of its projects; empty after an update that did not finish. */
  outputs: Record<string, ProjectOutput>;
  /** The name that its marks on the host bear where it was renamed since. */
  formerName?: string | undefined;
  /** The libvirt that its last update worked on. */
  uri?: string | undefined;
  /** Whether an update was cut off while it made or changed something: the engine warns of that until it has looked at all. */
  isCutOff: boolean;
}

interface Checkpoint {
  checkpoint?: { latest?: { resources?: Resource[]; pending_operations?: unknown[] } };
}

/** A resource as the engine writes it down. */
export interface Resource {
  type: string;
  urn: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

/**
 * Reads the state of a stack without the engine, which would take seconds. It is for showing: what may be deleted is
 * asked of the engine.
 *
 * @returns undefined where there is none or none can be read: its backend is no folder, it was lost, or the stack was never brought up
 */
export async function readStackState(root: string, stack: string): Promise<StackState | undefined> {
  const found = await checkpointFile(root, stack);
  const text = found && (await readCheckpoint(found.file).catch(() => undefined));
  return text === undefined ? undefined : stateIn(text);
}

/** Names of the projects of which a state has something; undefined where that cannot be told. */
export const vmsIn = (state: StackState | undefined) => state && [...new Set([...state.vms, ...state.removable])];

/**
 * Whether a stack was renamed, by what was read of its state. One of which a backend of files has none was not: it would have been
 * renamed along.
 */
export async function nameBefore(root: string, stack: string, state: StackState | undefined): Promise<NameBefore> {
  if (state !== undefined) return { formerName: state.formerName };
  const isUnread = stateFolder(root, "stacks") === undefined || (await checkpointFile(root, stack)) !== undefined;
  return { mayBeRenamed: isUnread };
}

/** Reads a checkpoint of the file backend. */
export function stateIn(text: string): StackState | undefined {
  let checkpoint: Checkpoint;
  try {
    checkpoint = JSON.parse(text) as Checkpoint;
  } catch {
    return undefined; // being written at this moment
  }
  const { resources = [], pending_operations: pending = [] } = checkpoint.checkpoint?.latest ?? {};
  const outputs = resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs?.projects ?? {};
  const domains = resources.filter(({ type }) => type === "libvirt:index/domain:Domain");
  return {
    vms: domains.map((domain) => projectOf(domain, "domain")),
    removable: teardownsIn(resources).map((teardown) => projectOf(teardown, "teardown")),
    // A secret, as Pulumi writes it down, is no map of projects.
    outputs:
      isMap(outputs) && !("ciphertext" in outputs) ? storedOutputs(outputs as Record<string, ProjectOutput>) : {},
    formerName: formerNameIn(resources),
    uri: uriIn(resources),
    isCutOff: pending.length > 0,
  };
}

function uriIn(resources: Resource[]): string | undefined {
  const uri = resources.find(({ type }) => type === "pulumi:providers:libvirt")?.inputs?.uri;
  return typeof uri === "string" ? uri : undefined;
}

/** `pulumi stack rename` writes the new name into each URN, and into nothing that a host has. */
function formerNameIn(resources: Resource[]): string | undefined {
  const names = resources.flatMap(({ type, urn, inputs = {} }) => {
    const mark = { "libvirt:index/domain:Domain": inputs.description, "libvirt:index/network:Network": inputs.domain }[
      type
    ];
    const name = typeof mark === "string" ? markedStack(mark) : undefined;
    return name !== undefined && name !== urn.split(":")[2] ? [name] : [];
  });
  return names[0];
}

/** Names of the projects whose disk may go with their VM: the engine goes by this, whatever the config says by now. */
export function mayBeDeleted(resources: Resource[]): string[] {
  return teardownsIn(resources)
    .filter(mayDelete)
    .map((teardown) => projectOf(teardown, "teardown"));
}

const teardownsIn = (resources: Resource[]) =>
  resources.filter(({ urn }) => urn.endsWith("-teardown") && urn.includes("ProjectVm$"));

const projectOf = ({ urn }: Resource, role: string) => (urn.split("::").at(-1) ?? "").slice(0, -`-${role}`.length);

/** One that cannot be read, as where it stands beside a secret, may. */
function mayDelete({ inputs }: Resource): boolean {
  const { PROJECT_VMS_TEARDOWN: teardown } = (inputs?.environment ?? {}) as Record<string, unknown>;
  try {
    return (JSON.parse(String(teardown)) as { keepData?: boolean }).keepData !== true;
  } catch {
    return true;
  }
}

const isMap = (value: unknown): value is object => typeof value === "object" && value !== null;
