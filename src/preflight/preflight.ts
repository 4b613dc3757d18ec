import { stackFileName } from "../checkout/pulumi-files.ts";
import { checkStackFile, refuseRemovals, refuseUnsaidRemovals, saysNothing } from "../checkout/read-stack-file.ts";
import { localSshKey, resolveHost } from "../checkout/resolve.ts";
import { nameBefore, readStackState, vmsIn } from "../checkout/stack-state.ts";
import { requireStateRoom } from "../checkout/state-room.ts";
import { skippedSshKeys, sshKeysOrOwn } from "../checkout/user-ssh-keys.ts";
import { type HostSettings, parseStackConfig, type StackConfig, saysOfProjects } from "../config/parse.ts";
import { UserError } from "../core/errors.ts";
import { describeLostDisks, lostHosts } from "../embedded-host/lost-hosts.ts";
import { closeBeforeUpdate, lookBeforeUpdate } from "../libvirt/closed-storage.ts";
import { type Inventory, takeInventory } from "../libvirt/inventory.ts";
import { vmsWithoutEntry } from "../lifecycle/leftovers.ts";
import { findProject } from "../lifecycle/plan.ts";
import { requireMounted } from "../project-disks/mounted.ts";
import { checkAgainstHost } from "./host-checks.ts";
import { checkFolders, newFolders } from "./storage-checks.ts";

/** An update, or the preview of one, as the engine asks for it. */
export interface Run {
  /** Absolute path of the checkout. */
  root: string;
  stack: string;
  /** All config of the stack, by its keys, as the engine gives it. */
  given: Record<string, string>;
  /** Whether nothing is to be made or written. */
  isPreview: boolean;
  /** Shows a line to the user. */
  log: { info: (line: string) => unknown; warn: (line: string) => unknown };
}

/**
 * Reads what a stack is to be, and holds it against its host, before any resource is made.
 *
 * @returns the config, the host that it is for, and what is there; the keys for new VMs are its user's where the config has none
 * @throws UserError for all that is wrong with it, and with what it stands on
 */
export async function preflight(run: Run) {
  const { root, stack, given, log } = run;
  const file = stackFileName(root, stack);
  checkStackFile(root, file);
  if (!run.isPreview) await requireStateRoom(root, stack);
  const config = parseStackConfig(given, file);
  const names = Object.keys(config.projects);
  // Before the host is looked at: it would be another one than that of the VMs. Projects may stand in Pulumi.yaml, or in another file.
  const said = saysOfProjects(given);
  const isEmptied = said === undefined && saysNothing(root, file);
  const refuse = said === "key" ? refuseUnsaidRemovals : isEmptied ? refuseRemovals : undefined;
  refuse?.(file, vmsIn(await readStackState(root, stack)));
  for (const notice of config.notices) log.info(notice);
  const sshKeys = names.length > 0 ? sshKeysOrOwn(config.sshKeys, file, [`${localSshKey(root)}.pub`]) : [];
  if (!config.sshKeys) for (const line of skippedSshKeys()) log.warn(line);
  const host = resolveHost(config, root);
  const inventory = await takeInventory(host.settings);
  const place = { storageDir: host.settings.storageDir, owner: stack, projects: names };
  if (refuse) {
    const removed = vmsWithoutEntry({ ...place, inventory });
    refuse(
      file,
      removed.map(({ name }) => name),
    );
  }
  await checkHost(run, config, host.settings, inventory, file);
  if (!config.host) warnOfLostDisks(run, withoutDisk(names, host.settings, inventory));
  return { config, file, sshKeys, host, inventory, place };
}

/** Projects that no disk is seen of. */
const withoutDisk = (names: string[], { storageDir }: HostSettings, inventory: Inventory) =>
  names.filter((name) => findProject(inventory, storageDir, name).projectDisk === undefined);

/** Holds a config against what is on its host, and closes disks that any user of it may read. */
async function checkHost(run: Run, config: StackConfig, host: HostSettings, inventory: Inventory, file: string) {
  // No new one is begun below a disk that is away, and before all else that is wrong there by that: its pools do not start.
  await requireMounted(host, withoutDisk(Object.keys(config.projects), host, inventory), cannotGive(file));
  const { errors, pools, warnings } = await checkOfStack(run, config, host, inventory, file);
  for (const warning of warnings) run.log.warn(warning);
  const issues = [...errors, ...pools];
  if (issues.length > 0) throw new UserError(cannotGive(file), issues);
  const look = await lookWhereNew(run, config, host, inventory, file);
  if (!run.isPreview && (await closeBeforeUpdate(host, inventory, look))) run.log.warn(openDisks(run.stack));
}

/** What of a config its host cannot give. The state, which tells that a stack was renamed, is read only where something is wrong. */
async function checkOfStack(
  { root, stack }: Run,
  config: StackConfig,
  settings: HostSettings,
  found: Inventory,
  file: string,
) {
  const checked = checkAgainstHost(config, settings, found, stack, file);
  if (checked.errors.length === 0) return checked;
  const before = await nameBefore(root, stack, await readStackState(root, stack));
  return checkAgainstHost(config, settings, found, stack, file, before);
}

/**
 * What is there already where an update makes something new; undefined where it does not, or where that cannot be looked at.
 *
 * @throws UserError when it is somebody else's
 */
async function lookWhereNew({ log }: Run, config: StackConfig, host: HostSettings, inventory: Inventory, file: string) {
  const look = await lookBeforeUpdate(host, newFolders({ config, inventory }));
  if (typeof look === "string") {
    log.warn(`${host.storageDir} on ${host.uri} could not be looked at before something is put there: ${look}`);
    return undefined;
  }
  if (look === undefined) return undefined;
  const { errors, warnings } = checkFolders({ config, host, inventory, file }, look);
  if (errors.length > 0) throw new UserError(cannotGive(file), errors);
  for (const warning of warnings) log.warn(warning);
  return look;
}

/** Each update would look for lost hosts, were it not for new projects alone. */
function warnOfLostDisks({ log }: Run, unseen: string[]): void {
  const lines = unseen.length > 0 ? describeLostDisks(unseen, lostHosts()) : [];
  for (const line of lines) log.warn(line);
}

const cannotGive = (file: string) => `${file} asks for what its host cannot give.`;

const openDisks = (stack: string) =>
  `any user of the host may read disks of its VMs; see: project-vm doctor --stack ${stack}`;
