import type { World } from "./data-model.ts";
import { type Entry, type SweepConfig, settingsOf, sshKeys, type VmConfig } from "./sweep-config.ts";
import { Random } from "./sweep-random.ts";

/** An edit of a config: what was done to it, and what it says then. */
export interface Edit {
  what: string[];
  config: SweepConfig;
  /** Whether the up asks the host first for all that the state knows (`--refresh`). */
  refresh: boolean;
}

/** Makes one kind of edit to a draft and says what it did; undefined when there is nothing to do it to. */
type Kind = (draft: SweepConfig, world: World, random: Random) => string | undefined;

/** Some are such that the names of one VM's resources resemble another VM's. */
const allNames = ["app", "app-seed", "web", "web-2", "db", "x", "ml-lab", "project-x"];
const mostProjects = 5;

/** Sizes in MiB: the least that a disk may have, and the most that the sweep lets it come to. */
const sizes = { disk: { least: 64, most: 512, step: 16 }, rootDisk: { least: 1024, most: 4096, step: 128 } };

/** Random valid edits, one after another; the same seed gives the same ones. */
export class Edits {
  private readonly random: Random;
  private bag: Kind[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** The next edit of the config that the world stands at. */
  next(world: World): Edit {
    for (;;) {
      const several = this.random.onceIn(4) ? 2 + this.random.below(3) : 1;
      const config = structuredClone(world.config);
      const what = Array.from({ length: several }, () => this.draw()(config, world, this.random));
      const done = what.filter((one) => one !== undefined);
      if (done.length > 0) return { what: done, config, refresh: this.random.onceIn(8) };
    }
  }

  /** Each kind comes once before any comes again, so that few edits have many kinds among them. */
  private draw(): Kind {
    if (this.bag.length === 0) this.bag = this.random.shuffled(kinds);
    return this.bag.pop() as Kind;
  }
}

function add({ projects }: SweepConfig, { disks }: World, random: Random): string | undefined {
  const names = random.shuffled(free(projects).filter((name) => !disks[name])).slice(0, 1 + random.below(2));
  if (names.length === 0 || Object.keys(projects).length + names.length > mostProjects) return undefined;
  for (const name of names) projects[name] = newEntry(random);
  return `add ${names.join(" and ")}`;
}

function comeBack({ projects }: SweepConfig, world: World, random: Random): string | undefined {
  const name = random.pick(free(projects).filter((one) => world.disks[one]));
  if (name === undefined || Object.keys(projects).length >= mostProjects) return undefined;
  projects[name] = fitting(name, newEntry(random), world, random);
  return `${name} comes back`;
}

function remove({ projects }: SweepConfig, _: World, random: Random): string | undefined {
  const name = random.pick(Object.keys(projects));
  if (name === undefined) return undefined;
  delete projects[name];
  return `remove ${name}`;
}

function rename(draft: SweepConfig, world: World, random: Random): string | undefined {
  const from = random.pick(Object.keys(draft.projects));
  const to = random.pick(free(draft.projects));
  if (from === undefined || to === undefined) return undefined;
  const renamed = Object.entries(draft.projects).map(([name, entry]) =>
    name === from ? [to, fitting(to, entry, world, random)] : [name, entry],
  );
  draft.projects = Object.fromEntries(renamed);
  return `rename ${from} to ${to}`;
}

function reorder(draft: SweepConfig, _: World, random: Random): string | undefined {
  draft.projects = Object.fromEntries(random.shuffled(Object.entries(draft.projects)));
  const names = Object.keys(draft.projects);
  return names.length > 1 ? `reorder: ${names.join(", ")}` : undefined;
}

/** Takes back what an entry says itself, so that the default counts. */
function unset({ projects }: SweepConfig, _: World, random: Random): string | undefined {
  const own = Object.entries(projects).flatMap(([name, entry]) =>
    Object.keys(entry).map((key) => [name, key] as const),
  );
  const [name = "", key = ""] = random.pick(own) ?? [];
  const entry = projects[name];
  if (!entry) return undefined;
  delete entry[key as keyof Entry];
  return `${name}: no ${key} of its own`;
}

function ownImage({ projects }: SweepConfig, _: World, random: Random): string | undefined {
  const name = random.pick(Object.keys(projects)) ?? "";
  const entry = projects[name];
  if (!entry) return undefined;
  entry.image = otherThan(entry.image, ["a", "b"], random);
  return `${name}: image ${entry.image}`;
}

function changeDefault({ defaults }: SweepConfig, _: World, random: Random): string {
  const settings = newSettings(random);
  const key = random.pick(["memory", "cpus", "disk", "rootDisk", "autostart", "keepData"] as const);
  Object.assign(defaults, { [key]: settings[key] });
  return `default ${key} ${settings[key]}`;
}

function stackImage(draft: SweepConfig): string {
  draft.image = draft.image === "a" ? "b" : "a";
  return `the stack's image ${draft.image}`;
}

function network(draft: SweepConfig, _: World, random: Random): string {
  draft.cidr = otherThan(draft.cidr, [undefined, "10.77.0.0/24", "10.78.0.0/24", "10.79.4.0/22"], random);
  return draft.cidr === undefined ? "no host" : `a host with the network ${draft.cidr}`;
}

function sshKey(draft: SweepConfig): string {
  draft.sshKey = draft.sshKey === sshKeys[0] ? sshKeys[1] : sshKeys[0];
  return "another SSH key";
}

function spelling(draft: SweepConfig, _: World, random: Random): string {
  draft.spelling = otherThan(draft.spelling, ["MiB", "GiB", "M"], random);
  return `sizes in ${draft.spelling}`;
}

/** An edit of one project's settings. */
function setting(change: (settings: VmConfig & Entry, random: Random) => Entry | undefined): Kind {
  return (draft, _, random) => {
    const name = random.pick(Object.keys(draft.projects));
    const changed = name === undefined ? undefined : change(settingsOf(draft, name), random);
    if (name === undefined || !changed) return undefined;
    draft.projects[name] = { ...draft.projects[name], ...changed };
    const said = Object.entries(changed).map(([key, value]) => `${key} ${value}`);
    return `${name}: ${said.join(", ")}`;
  };
}

const rebuild = (random: Random): Entry => ({ rebuild: `round ${random.below(10_000)}` });

const kinds: Kind[] = [
  add,
  comeBack,
  comeBack,
  remove,
  remove,
  rename,
  reorder,
  unset,
  ownImage,
  changeDefault,
  changeDefault,
  stackImage,
  network,
  sshKey,
  spelling,
  setting(({ memory }) => ({ memory: memory === 128 ? 192 : 128 })),
  setting(({ cpus }) => ({ cpus: cpus === 1 ? 2 : 1 })),
  setting(({ disk }, random) => bigger("disk", disk, random)),
  setting(({ disk }, random) => bigger("disk", disk, random)),
  setting(({ disk }, random) => smaller("disk", disk, random)),
  setting(({ rootDisk }, random) => bigger("rootDisk", rootDisk, random)),
  setting(({ rootDisk }, random) => smaller("rootDisk", rootDisk, random)),
  setting(({ rootDisk }, random) => ({ ...smaller("rootDisk", rootDisk, random), ...rebuild(random) })),
  setting((_, random) => rebuild(random)),
  setting(({ autostart }) => ({ autostart: !autostart })),
  setting(({ keepData }) => ({ keepData: !keepData })),
  setting(({ keepData }) => ({ keepData: !keepData })),
];

function bigger(key: keyof typeof sizes, size: number, random: Random): Entry | undefined {
  const { most, step } = sizes[key];
  return size >= most ? undefined : { [key]: Math.min(most, size + step * (1 + random.below(8))) };
}

function smaller(key: keyof typeof sizes, size: number, random: Random): Entry | undefined {
  const { least, step } = sizes[key];
  return size <= least ? undefined : { [key]: least + step * random.below((size - least) / step) };
}

const free = (projects: SweepConfig["projects"]) => allNames.filter((name) => !projects[name]);

/** An entry whose disk has the size of the kept one that it adopts, half of the time. */
function fitting(name: string, entry: Entry, { disks }: World, random: Random): Entry {
  const kept = disks[name];
  return kept && random.onceIn(2) ? { ...entry, disk: kept.size } : entry;
}

/** An entry that says something of this and that. */
function newEntry(random: Random): Entry {
  const image = random.pick(["a", "b"] as const);
  const said = Object.entries({ ...newSettings(random), ...rebuild(random), image });
  return Object.fromEntries(said.filter(() => random.onceIn(3)));
}

function newSettings(random: Random): VmConfig {
  return {
    memory: 128 + 64 * random.below(3),
    cpus: 1 + random.below(2),
    disk: 64 + 16 * random.below(9),
    rootDisk: 1024 + 128 * random.below(4),
    autostart: random.onceIn(2),
    keepData: !random.onceIn(3),
  };
}

function otherThan<T>(value: T | undefined, all: readonly T[], random: Random): T {
  return random.pick(all.filter((one) => one !== value)) as T;
}
