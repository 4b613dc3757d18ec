import { homedir, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { checkoutsFolder, homesFolder, sharedEnvironment } from "../setup/places.ts";
import type { Census, Watched } from "./census.ts";
import type { Root } from "./files.ts";

/** The variable by which a run's processes are known; .ci/run sets it. */
export const runVariable = "PROJECT_VMS_RUN";

/** What the temporary files of programs that tests start are called, where these have not heard of TMPDIR. */
const temporaryNames =
  "^(project-vms|pulumi|go-build|go-tool|tsx-|vite|npm-|node-|mmdebstrap|qemu|libvirt|tailscale|headscale|xorriso|virt|tmux-|claude)";

/** What shells, editors and agents of the user's, who may be at work meanwhile, keep in a home. */
const usersOwn = [
  ".bash_history",
  ".python_history",
  ".lesshst",
  ".viminfo",
  ".zsh_history",
  ".claude",
  ".claude.json",
];

/** What the machine itself writes anew in /etc at any time: the network's settings, the linker's cache, the clock's drift. */
const machinesOwn = ["resolv.conf", "ld.so.cache", "mtab", "adjtime", ".pwd.lock"].map((name) => `/etc/${name}`);

/**
 * What a run of the tests could leave behind, and where: all of HOME (and of the home that OpenSSH and others take from the list of
 * users), of TMPDIR, /etc and /usr/local; names of ours in /tmp and /var/tmp; what is new in libvirt's folder, in which the machine's
 * own libvirt may be at work. Not the checkout, not the caches: they are there to change.
 *
 * @param checkout the root of the checkout
 */
export function watchedBy(checkout: string, environment: NodeJS.ProcessEnv = process.env): Watched {
  const homes = [...new Set([homedir(), userInfo().homedir])];
  const shared = sharedEnvironment(environment);
  const temporary = tmpdir();
  const whole = [...homes, temporary, "/etc", "/usr/local"].map((folder): Root => ({ folder, look: "all" }));
  const others = ["/tmp", "/var/tmp"].filter((folder) => folder !== temporary);
  return {
    roots: [
      ...whole,
      ...others.map((folder): Root => ({ folder, look: "new", only: temporaryNames })),
      { folder: "/var/lib/libvirt", look: "new" },
    ],
    exempt: [
      checkout,
      path.join(shared.XDG_CACHE_HOME ?? "", "project-vms"),
      ...[shared.GOCACHE, shared.GOMODCACHE].filter((place): place is string => Boolean(place)),
      // tsx's cache of compiled sources.
      ...[temporary, ...others].map((folder) => path.join(folder, `tsx-${userInfo().uid}`)),
      ...homes.flatMap((home) => usersOwn.map((name) => path.join(home, name))),
      ...machinesOwn,
    ],
    variable: `${runVariable}=${environment[runVariable] ?? "none"}`,
    folders: [checkout, checkoutsFolder(), homesFolder()],
  };
}

/**
 * What one look found that another did not, or found to be another: a line each. Pure.
 *
 * @param cleared folders that a run begins with clearing: what an earlier one left in them is to go
 */
export function leftBehind(before: Census, after: Census, cleared: string[] = []): string[] {
  return Object.entries(after).flatMap(([kind, things]) => {
    const known = before[kind] ?? {};
    const made = Object.keys(things).filter((name) => !(name in known));
    const changed = Object.keys(things).filter((name) => name in known && things[name] !== known[name]);
    const isToGo = (name: string) => cleared.some((folder) => `${name}/`.startsWith(`${folder}/`));
    // Of the rest it is no harm that something is gone.
    const gone =
      kind === "file"
        ? Object.keys(known).filter((name) => known[name] !== "" && !(name in things) && !isToGo(name))
        : [];
    const lines = (names: string[], word: string) => outermost(names, kind).map((name) => `${kind} ${word}: ${name}`);
    return [...lines(made, "left"), ...lines(changed, "changed"), ...lines(gone, "removed")];
  });
}

/** Of a folder and what is in it, the folder alone. */
function outermost(names: string[], kind: string): string[] {
  if (kind !== "file") return names;
  const all = new Set(names);
  const hasParent = (name: string) => all.has(path.dirname(name));
  return names.filter((name) => !hasParent(name));
}
