import { homedir, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { checkoutsFolder, homesFolder, sharedEnvironment } from "../setup/places.ts";
import type { Census, Watched } from "./census.ts";
import { filesystemRoots, mountsNow } from "./mounts.ts";
import { isOwnMachine, passedOver } from "./of-others.ts";
import type { Difference } from "./things.ts";

/** The variable by which a run's processes are known; .ci/run sets it. */
export const runVariable = "PROJECT_VMS_RUN";

/** The user's homes: by HOME, and by the list of users, which OpenSSH and others ask. */
export const homes = () => [...new Set([homedir(), userInfo().homedir])];

/**
 * What a run of the tests could leave behind, and where: anywhere on this machine's own filesystems. Not in the checkout, nor in the
 * caches: they are there to change. Embedded hosts' folders are looked at by themselves.
 *
 * @param checkout the root of the checkout
 */
export function watchedBy(checkout: string, environment: NodeJS.ProcessEnv = process.env): Watched {
  const shared = sharedEnvironment(environment);
  return {
    roots: filesystemRoots(mountsNow()),
    exempt: [
      checkout,
      path.join(shared.XDG_CACHE_HOME ?? "", "project-vms"),
      ...[shared.GOCACHE, shared.GOMODCACHE].filter((place): place is string => Boolean(place)),
      // tsx's cache of compiled sources.
      ...[tmpdir(), "/tmp", "/var/tmp"].map((folder) => path.join(folder, `tsx-${userInfo().uid}`)),
    ],
    passedOver: passedOver(isOwnMachine(environment)),
    variable: `${runVariable}=${environment[runVariable] ?? "none"}`,
    folders: [checkout, checkoutsFolder(), homesFolder()],
    made: [checkoutsFolder(), homesFolder()],
  };
}

export const describe = ({ kind, word, name }: Difference) => `${kind} ${word}: ${name}`;

/** Of these it is a change too that something is gone; of the others it is no harm. */
const staying = ["file", "firewall rule"];

/**
 * What one look found that another did not, or found to be another. Pure.
 *
 * @param cleared folders that a run begins with clearing: what an earlier one left in them is to go
 */
export function differences(before: Census, after: Census, cleared: string[] = []): Difference[] {
  return Object.entries(after).flatMap(([kind, things]) => {
    const known = before[kind] ?? {};
    const made = Object.keys(things).filter((name) => !(name in known));
    const changed = Object.keys(things).filter((name) => name in known && things[name] !== known[name]);
    const isToGo = (name: string) => cleared.some((folder) => `${name}/`.startsWith(`${folder}/`));
    const gone = staying.includes(kind) ? Object.keys(known).filter((name) => !(name in things) && !isToGo(name)) : [];
    const all = (names: string[], word: Difference["word"]) =>
      outermost(names, kind).map((name): Difference => ({ kind, word, name }));
    return [...all(made, "left"), ...all(changed, "changed"), ...all(gone, "removed")];
  });
}

/** Of a folder and what is in it, the folder alone. */
function outermost(names: string[], kind: string): string[] {
  if (kind !== "file") return names;
  const all = new Set(names);
  const hasParent = (name: string) => all.has(path.dirname(name));
  return names.filter((name) => !hasParent(name));
}
