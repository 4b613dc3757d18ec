import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Issue } from "../core/errors.ts";
import { embeddedRoot } from "../core/names.ts";
import { embeddedHostAt, entriesOf } from "../libvirt/embedded-layout.ts";
import { findProcesses } from "../libvirt/embedded-look.ts";
import { isGone } from "./gone-folders.ts";
import { whyAway } from "./local-mounts.ts";

/** Written into a host's folder: what has it may be wiped. */
export const markFile = "embedded-host";

/** Written into a host's folder: the path of its checkout. */
export const checkoutFile = "checkout";

/** An embedded host as its folder tells of it. */
export interface HostFolder {
  dir: string;
  /** Where its checkout is, or was. */
  checkout: string;
  /** Whether nothing is there any more. */
  isGone: boolean;
  /** Names of the projects whose disks it has. */
  projects: string[];
}

/** An embedded host whose checkout was moved or deleted: no `make down` there stops it any more. */
export interface LostHost extends HostFolder {
  /** Whether it runs. */
  runs: boolean;
}

/** The embedded hosts of this machine whose checkouts are gone, as far as {@link embeddedHosts} knows. Changes nothing. */
export function lostHosts(root = embeddedRoot): LostHost[] {
  return embeddedHosts(root)
    .filter(({ isGone }) => isGone)
    .map((host) => ({ ...host, runs: findProcesses({ ...host, netns: path.join(host.dir, "run/netns") }).length > 0 }));
}

/**
 * The embedded hosts of this machine. Those that no start of this version has seen do not tell their checkout, and what cannot be
 * read, or is on a disk that is not mounted, is not known: neither is among them. Changes nothing.
 */
export function embeddedHosts(root = embeddedRoot): HostFolder[] {
  return entriesOf(root)
    .map((name) => path.join(root, name))
    .flatMap((dir) => {
      const checkout = textOf(path.join(dir, checkoutFile));
      if (textOf(path.join(dir, markFile)) !== dir || checkout === undefined) return [];
      const folders = entriesOf(path.join(dir, "vms"));
      const projects = folders.filter((name) => existsSync(path.join(dir, "vms", name, "project.qcow2"))).sort();
      if (projects.length === 0 && whyAway(path.join(dir, "vms"))) return [];
      return [{ dir, checkout, isGone: isGone(checkout), projects }];
    });
}

/** What a lost host is, in a line. */
export function describeLost({ dir, checkout, projects, runs }: LostHost): string {
  const disks = projects.length > 0 ? `the project disks of ${projects.join(", ")}` : "no project disk";
  return `${dir} is the embedded host of ${checkout}, which is not there any more; it ${runs ? "runs" : "is stopped"} and has ${disks}`;
}

/** What can be done about it; nothing of that is ever done unasked. */
export function lostRemedy({ checkout }: Pick<LostHost, "checkout">): string {
  const gone = `GONE=${makeWord(checkout)}`;
  return (
    `to have its VMs again, put the checkout back at ${checkout} (mv, or git clone) and run \`make up\` there; ` +
    `else stop it: make down ${gone}; or remove it with all its disks, after a question: make clean ${gone}`
  );
}

/** What stops the host of a checkout, in any checkout where its own is gone. */
export const downCommand = (checkout: string) =>
  isGone(checkout) ? `make down GONE=${makeWord(checkout)}` : "make down";

/** Both in a line. */
export const lostHostLine = (lost: LostHost) => `${describeLost(lost)}; ${lostRemedy(lost)}`;

/**
 * The host that a stack was last on, where that is another one than its checkout's own: the checkout was moved since, or came here
 * as a copy, with its state.
 *
 * @param here the folder of the checkout's own host, and the libvirt that the config leads to by now
 */
export function hostMovedFrom(hosts: HostFolder[], uri: string | undefined, here: { dir: string; uri: string }) {
  const former = embeddedHostAt(uri ?? "")?.dir;
  if (former === here.dir || former === embeddedHostAt(here.uri)?.dir) return undefined;
  return hosts.find(({ dir }) => dir === former);
}

/** Why nothing is known of the embedded host that a stack was last on: its folder is on a disk that is not mounted. */
export function whyHostIsAway(uri: string | undefined): Issue | undefined {
  const host = embeddedHostAt(uri ?? "");
  return host && whyAway(host.dir, path.join(host.dir, "vms"));
}

/** What became of a checkout whose stack was on another one's host. */
export const describeMoved = ({ checkout, isGone }: Pick<HostFolder, "checkout" | "isGone">) =>
  isGone
    ? `this checkout was moved: its VMs are on the embedded host of ${checkout}`
    : `this checkout was moved or copied from ${checkout}: its VMs are on the embedded host of the one that is there`;

/** What can be done about it. */
export const movedRemedy = ({ checkout, isGone }: Pick<HostFolder, "checkout" | "isGone">) =>
  isGone
    ? lostRemedy({ checkout })
    : `one that was moved: put it back at ${checkout}, in place of what is there, and run \`make up\` there; a copy: have it begin with a state of its own: rm -r .local/state, then make up`;

/** A line on each project that is to get a new disk while one of its name is on a lost host. */
export function describeLostDisks(projects: string[], lost: LostHost[]): string[] {
  return projects.flatMap((name) =>
    lost
      .filter((host) => host.projects.includes(name))
      .map((host) => {
        const disk = path.join(host.dir, "vms", name, "project.qcow2");
        return `${name}: a new project disk, though there is one of that name: ${disk}. ${lostHostLine(host)}`;
      }),
  );
}

/** For the shell, and for make, which takes `$` for its own. */
const makeWord = (text: string) =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("$", "$$$$").replaceAll("'", "'\\''")}'`;

/** Without the line's end; undefined where it cannot be read. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").replace(/\n$/, "");
  } catch {
    return undefined;
  }
}
