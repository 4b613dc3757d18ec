import { MiB } from "../../../src/core/sizes.ts";
import { foresee, type Mark, type Refusal, untouched, type World } from "./data-model.ts";
import type { Edits } from "./edits.ts";
import { type SweepConfig, settingsOf } from "./sweep-config.ts";
import { Random } from "./sweep-random.ts";

/** What others do to a VM between two updates, past the product: by virsh, or on the host itself. */
export const manualChanges = [
  "external snapshot",
  "managedsave",
  "undefine",
  "attach-disk",
  "attach-interface",
  "detach-interface",
  "pool stopped",
  "pool undefined",
  "disk renamed",
] as const;
export type ManualChange = (typeof manualChanges)[number];

/** A change, and the config of the update that follows. */
export interface OthersEdit {
  change: ManualChange;
  project: string;
  what: string[];
  config: SweepConfig;
}

/** What must come of an update after a change. */
export interface Foreseen {
  /**
   * `refused`: by the preview already, with nothing changed. `stopped`: on the way, with that VM's project disk as it was; the
   * rest of the update may have come about. Of both, the same update does it all when the change is undone.
   */
  end: "done" | "refused" | "stopped";
  /** Of the config: what an undefined domain no longer excuses. */
  refusals: Refusal[];
  /** What the update's output must match. */
  says: RegExp[];
  /** Where it is done: the world afterwards, with the change undone. */
  world: World;
  /** Where it is done and the VM is there: whether the change still stands. */
  stands: boolean;
}

/** What an update is to a VM that is there, the most of it. */
type Effect = "removed" | "redefined" | "grown" | "settings" | "none";

/** Random changes with the edits that follow them; the same seed gives the same ones. */
export class Others {
  private readonly random: Random;
  private bag: ManualChange[] = [];

  constructor(seed: number) {
    this.random = new Random(seed ^ 0x0071e5);
  }

  /** The next change; undefined where there is no VM to do it to. Each kind comes once before any comes again. */
  next(world: World, edits: Edits): OthersEdit | undefined {
    if (Object.keys(world.vms).length === 0) return undefined;
    const { what, config } = this.random.onceIn(5)
      ? { what: ["no edit"], config: world.config }
      : validEdit(world, edits);
    if (this.bag.length === 0) this.bag = this.random.shuffled(manualChanges);
    const change = this.bag.pop() as ManualChange;
    const project = this.victim(world, config);
    return { change, project, what: [`${change} of ${project}`, ...what], config };
  }

  /** Most of the time one that the edit is something to. */
  private victim(world: World, config: SweepConfig): string {
    const names = Object.keys(world.vms);
    const { world: after } = foresee(world, config);
    const worked = names.filter((name) => effectOn(world, after, name) !== "none");
    return this.random.pick(worked.length > 0 && !this.random.onceIn(4) ? worked : names) as string;
  }
}

/** The next edit that is not refused for itself: after the change is undone, the same update must come through. */
function validEdit(world: World, edits: Edits): { what: string[]; config: SweepConfig } {
  for (;;) {
    const edit = edits.next(world);
    if (foresee(world, edit.config).refusals.length === 0) return edit;
  }
}

/** What an update is to a VM, by the worlds before and after it. */
export function effectOn(before: World, after: World, name: string): Effect {
  const [old, now] = [before.vms[name], after.vms[name]];
  if (!old || !now) return "removed";
  const kept = { ...old, keepData: now.keepData };
  if (untouched({ ...before, vms: { [name]: kept } }, { ...after, vms: { [name]: now } }).length === 0) {
    return "redefined";
  }
  if (old.root.size !== now.root.size || before.disks[name]?.size !== after.disks[name]?.size) return "grown";
  return old.autostart !== now.autostart || old.keepData !== now.keepData ? "settings" : "none";
}

/** What must come of an update with a config that is valid for itself, after a change. */
export function foreseeAfter(world: World, { change, project, config }: Omit<OthersEdit, "what">): Foreseen {
  if (change === "undefine") return afterUndefine(world, config, project);
  const plain = foresee(world, config).world;
  const effect = effectOn(world, plain, project);
  const keeps = world.vms[project]?.keepData !== false;
  const done = (stands: boolean, says: RegExp[] = [], then = plain): Foreseen => ({
    ...{ end: "done", refusals: [], says, world: then, stands },
  });
  const not = (end: "refused" | "stopped", ...says: RegExp[]): Foreseen => ({ ...done(true, says, world), end });
  const isWorkedOn = effect === "grown" || effect === "redefined";
  switch (change) {
    case "external snapshot": {
      const says = [overlaid(project, "disk.qcow2", "vda"), overlaid(project, "project.qcow2", "vdb")];
      if (effect === "removed") return not("stopped", ...says);
      return isWorkedOn ? not("refused", ...says) : done(true, says);
    }
    case "managedsave": {
      const says = new RegExp(`project-${project}: must not have saved memory`);
      if (effect === "removed") return keeps ? not("stopped", says) : done(false);
      return isWorkedOn ? not("refused", says) : done(true);
    }
    case "attach-disk":
      return effect === "redefined" ? done(false, [/DROPS what was added by hand: disk vdd/]) : done(true);
    case "attach-interface": {
      if (effect === "redefined") return done(false, [/DROPS what was added by hand: interface /]);
      // It is on the network of ours that the VM is on.
      const says = new RegExp(`project-${project}: must have no interface on \\S+ that no network filter holds`);
      if (effect === "removed") return done(true);
      return effect === "grown" ? not("refused", says) : done(true, [says]);
    }
    // A VM without one is redefined for that alone.
    case "detach-interface":
      return done(false, effect === "removed" ? [] : [new RegExp(`${project}: .*network none to `)]);
    default: {
      if (effect === "removed") return done(true, [], withDiskKept(world, plain, change, project));
      const unseen = { path: `projects.${project}`, says: ["its project disk "] };
      return { ...not("refused"), refusals: [unseen] };
    }
  }
}

const overlaid = (project: string, file: string, target: string) =>
  new RegExp(`must have \\S*/${project}/${file.replace(".", "\\.")} as ${target}, but has `);

/** The domain's word on its data is gone: its disk is kept in any case, and a new domain adopts it and the old root. */
function afterUndefine(world: World, config: SweepConfig, project: string): Foreseen {
  const { [project]: vm, ...vms } = world.vms;
  const { refusals, world: after } = foresee({ ...world, vms }, config);
  const { rootDisk } = settingsOf(config, project);
  const now = after.vms[project];
  const old = vm?.root;
  // A root that a domain stands on no more is neither made smaller nor recreated.
  const isSmaller = config.projects[project] !== undefined && old !== undefined && rootDisk < old.size;
  const small = { path: `projects.${project}.rootDisk`, says: ["as the root disk"] };
  const all = [...refusals, ...(isSmaller ? [small] : [])];
  if (all.length > 0) return { end: "refused", refusals: all, says: [], world, stands: true };
  const done = { end: "done" as const, refusals: [], stands: false };
  if (!now || !old) {
    const says = vm?.keepData === false ? [/its project disk is kept, although keepData is false/] : [];
    return { ...done, says, world: after };
  }
  const root = { ...old, request: now.root.request, size: Math.max(old.size, rootDisk) };
  const says = [new RegExp(`${project}: new VM, .*adopts its kept project disk.*, on the root disk that is there`)];
  return { ...done, says, world: { ...after, vms: { ...after.vms, [project]: { ...now, root } } } };
}

/** A disk that libvirt does not show is not deleted; a stopped pool is started for that, though. */
function withDiskKept(before: World, after: World, change: ManualChange, project: string): World {
  const disk = before.disks[project];
  return change === "pool stopped" || !disk ? after : { ...after, disks: { ...after.disks, [project]: disk } };
}

const markLength = 64 * 1024;

/** The same world with something more on a VM's project disk, which is written there after a change. */
export function withWork(world: World, project: string): { world: World; mark: Mark } {
  const disk = world.disks[project];
  if (!disk) throw new Error(`${project} has no disk`);
  // Past all places of the marks that a disk gets when it is new, and before the end of the smallest.
  const places = Array.from({ length: 512 }, (_, i) => 16 * MiB + i * markLength);
  const at = places.find((place) => disk.marks.every((mark) => mark.at !== place));
  if (at === undefined) throw new Error(`${project}: its disk is full of marks`);
  const mark = { at, length: markLength, byte: 1 + (world.marked % 255) };
  const disks = { ...world.disks, [project]: { ...disk, marks: [...disk.marks, mark] } };
  return { world: { ...world, disks, marked: world.marked + 1 }, mark };
}
