import { closest } from "fastest-levenshtein";
import { type Outline, readOutline } from "../checkout/outline.ts";
import { nameBefore, readStackState } from "../checkout/stack-state.ts";
import { UserError } from "../core/errors.ts";
import type { NameBefore } from "../core/names.ts";
import { domainName, domainUuid, renameBack } from "../core/names.ts";
import { ownValue } from "../core/own-value.ts";
import {
  describeMoved,
  embeddedHosts,
  type HostFolder,
  hostMovedFrom,
  movedRemedy,
  whyHostIsAway,
} from "../embedded-host/lost-hosts.ts";
import { markRemedy } from "../libvirt/copies.ts";
import { embeddedHostFor } from "../libvirt/embedded-layout.ts";
import { virshInShell } from "../libvirt/virsh-line.ts";
import { type HostFound, lookAtVms, type VmFound } from "./look-at-vms.ts";

/** A VM of a stack that is on its host. */
export interface OwnVm {
  outline: Outline;
  vm: VmFound;
}

/**
 * Finds a VM of a stack.
 *
 * @throws UserError when it is not there, saying where it is instead, or what makes it
 * @example const { vm } = await findVm("local", "myapp", process.cwd())
 */
export async function findVm(stack: string, name: string, folder: string): Promise<OwnVm> {
  const outline = await readOutline(stack, folder);
  const found = await lookAtVms(outline.host).catch(async (error) => {
    await refuseMoved(name, outline);
    throw error;
  });
  const vm = found.vms.find((one) => one.name === name);
  if (vm?.stack === stack) return { outline, vm };
  await refuseMoved(name, outline);
  const [state, others] = await Promise.all([readStackState(outline.root, stack), otherStacks(outline)]);
  await refuseAway(name, outline, state?.uri);
  const before = await nameBefore(outline.root, stack, state);
  throw noSuchVm(name, { outline, found, inState: state?.vms ?? [], others, ...before });
}

/**
 * Looks for a VM where this checkout was before it was moved, or copied: on the embedded host of then.
 *
 * @throws UserError when it is there
 */
export async function refuseMoved(name: string, { root, stack, host, projects }: Outline): Promise<void> {
  const here = { dir: embeddedHostFor(root).dir, uri: host.uri };
  // Before the state, which can be big: mostly there is none.
  const hosts = embeddedHosts().filter(({ dir, projects }) => dir !== here.dir && projects.includes(name));
  if (hosts.length === 0 || !ownValue(projects, name)) return;
  const former = hostMovedFrom(hosts, (await readStackState(root, stack))?.uri, here);
  if (former) throw movedAway(name, host.uri, former);
}

/**
 * @param uri the libvirt that the stack was last on
 * @throws UserError when the disks of a VM that is not seen are on a disk that is not mounted
 */
async function refuseAway(name: string, { host, projects }: Outline, uri: string | undefined): Promise<void> {
  if (!ownValue(projects, name)) return;
  const title = `What there is of ${name} is not known.`;
  const away = whyHostIsAway(uri);
  if (away) throw new UserError(title, [away]);
  const { requireMounted } = await import("../project-disks/mounted.ts"); // which only an error needs
  await requireMounted(host, [name], title);
}

/** The error for a VM on the host that its checkout was moved away from. Pure. */
export function movedAway(name: string, uri: string, former: HostFolder): UserError {
  return notThere(name, `must be on ${uri}, but ${describeMoved(former)}`, movedRemedy(former));
}

/** As {@link findVm}; one that is off is refused too. */
export async function findRunningVm(stack: string, name: string, folder: string): Promise<OwnVm> {
  const own = await findVm(stack, name, folder);
  if (own.vm.state === "running") return own;
  throw notRunning(own);
}

/** The error for a VM that must run and does not. Pure. */
export function notRunning({ outline: { stack }, vm: { name, state } }: OwnVm): UserError {
  const remedy =
    state === "paused"
      ? `go on with it: project-vm start ${name} --stack ${stack}`
      : state === "suspended"
        ? `wake it: project-vm start ${name} --stack ${stack}`
        : `start it: project-vm start ${name} --wait --stack ${stack}`;
  return notThere(name, `must be running, but is ${state}`, remedy, `${name} is not running.`);
}

/** All that may explain why a VM is not there. */
export interface Whereabouts extends NameBefore {
  outline: Outline;
  found: HostFound;
  /** Names of the projects whose VMs the stack's state has. */
  inState: string[];
  /** Names of the projects in the configs of the other stacks. */
  others: Record<string, string[]>;
}

/** The error for a VM that a stack does not have on its host. Pure. */
export function noSuchVm(name: string, { outline, found, inState, others, ...before }: Whereabouts): UserError {
  const { stack, projects, host } = outline;
  const foreign = found.vms.find((vm) => vm.name === name);
  if (foreign?.stack && foreign.stack === before.formerName) {
    const rule = `must bear the name of its stack, but bears the one of before the stack was renamed, ${foreign.stack}`;
    return notThere(name, rule, `give the stack that name back: ${renameBack(foreign.stack, stack)}`);
  }
  if (foreign?.stack) {
    const rule = `must be of the stack ${stack}, but is of the stack ${foreign.stack}`;
    const back = `; if ${stack} was renamed, give it that name back: ${renameBack(foreign.stack, stack)}`;
    return notThere(name, rule, `${inStack(foreign.stack)}${before.mayBeRenamed ? back : ""}`);
  }
  if (foreign && inState.includes(name)) {
    const rule = `must be a VM of this stack with its mark, but the domain ${domainName(name)} on ${host.uri} is not: its description was rewritten, or it is another domain`;
    const isOff = foreign.state === "shut off";
    const mark = markRemedy(host.uri, stack, { project: name, isOff, description: undefined });
    const look = virshInShell(host.uri, "dominfo", domainName(name));
    return notThere(name, rule, `look whether its UUID is ${domainUuid(name)}: ${look}; ${mark}`);
  }
  if (foreign) {
    const rule = `must be a VM of this stack, but somebody else made the domain ${domainName(name)} on ${host.uri}`;
    return notThere(name, rule, `look at it: virsh -c '${host.uri}' dominfo ${domainName(name)}`);
  }
  if (ownValue(projects, name) && inState.includes(name)) {
    const rule = `must be on ${host.uri}, but its domain was removed there by other means than this stack's updates`;
    const isKept = found.disks.some((disk) => disk.name === name);
    // Disks that went with it the engine takes to be there until a refresh.
    const remedy = isKept
      ? `recreate it, on its kept project disk: project-vm apply --stack ${stack}, or pulumi up -s ${stack}`
      : `recreate it: project-vm apply --stack ${stack}, or pulumi up --refresh -s ${stack}`;
    return notThere(name, rule, remedy);
  }
  if (ownValue(projects, name)) {
    const rule = "must have been made, but is only in the config";
    return notThere(name, rule, `make it: project-vm apply --stack ${stack}, or pulumi up -s ${stack}`);
  }
  if (found.disks.some((disk) => disk.name === name)) {
    const rule = "must have a VM, but only its disk was kept";
    return notThere(name, rule, `make one that takes the disk up: project-vm create ${name} --stack ${stack}`);
  }
  const elsewhere = Object.keys(others).find((other) => others[other]?.includes(name));
  if (elsewhere) {
    return notThere(name, `must be of the stack ${stack}, but is in Pulumi.${elsewhere}.yaml`, inStack(elsewhere));
  }
  const there = [...new Set([...Object.keys(projects), ...namesOf(found, stack)])].sort();
  return notThere(name, `must be a project of the stack ${stack}`, nearest(name, there));
}

const inStack = (stack: string) => `name that stack: --stack ${stack}`;

function notThere(name: string, rule: string, remedy: string, title = `There is no VM ${name} to work on.`): UserError {
  return new UserError(title, [{ path: name, rule, remedy }]);
}

const namesOf = ({ vms }: HostFound, stack: string) => vms.filter((vm) => vm.stack === stack).map(({ name }) => name);

/** With many projects a message names only the one that was likely meant. */
const mostListed = 10;

function nearest(name: string, there: string[]): string {
  if (there.length === 0) return "the stack has no projects yet";
  const list = there.length > mostListed ? "" : ` (there are ${there.join(", ")})`;
  return `did you mean ${closest(name, there)}?${list}`;
}

async function otherStacks({ root, stack }: Outline): Promise<Record<string, string[]>> {
  const { stacksIn } = await import("../checkout/stack-names.ts"); // which only an error needs
  const others = stacksIn(root).filter((one) => one !== stack);
  const names = await Promise.all(
    // One whose config has mistakes is of no help here, and no hindrance.
    others.map((one) =>
      readOutline(one, root).then(
        ({ projects }) => Object.keys(projects),
        () => [],
      ),
    ),
  );
  return Object.fromEntries(others.map((one, i) => [one, names[i] ?? []]));
}
