import * as pulumi from "@pulumi/pulumi";
import { ProjectVm } from "./components/project-vm.ts";
import { lookAtTailnet } from "./components/tailnet-args.ts";
import { VmHost } from "./components/vm-host.ts";
import { instructions, projectOutput } from "./src/checkout/outputs.ts";
import { stackFileName } from "./src/checkout/pulumi-files.ts";
import { checkStackFile, refuseRemovals, saysNothing } from "./src/checkout/read-stack-file.ts";
import { localDir, localSshKey, resolveHost } from "./src/checkout/resolve.ts";
import { sshFilePaths, writeSshFiles } from "./src/checkout/ssh-files.ts";
import { nameBefore, readStackState, vmsIn } from "./src/checkout/stack-state.ts";
import { requireStateRoom } from "./src/checkout/state-room.ts";
import { skippedSshKeys, sshKeysOrOwn } from "./src/checkout/user-ssh-keys.ts";
import { givesProjects, type HostSettings, parseStackConfig, type StackConfig } from "./src/config/parse.ts";
import { vmRequest } from "./src/config/vm-request.ts";
import { UserError } from "./src/core/errors.ts";
import { recordLine } from "./src/core/records.ts";
import { describeLostDisks, lostHosts } from "./src/embedded-host/lost-hosts.ts";
import { closeBeforeUpdate, lookBeforeUpdate } from "./src/libvirt/closed-storage.ts";
import { type Inventory, takeInventory } from "./src/libvirt/inventory.ts";
import { describeRemovals, keptDisks, vmsWithoutEntry } from "./src/lifecycle/leftovers.ts";
import { findProject } from "./src/lifecycle/plan.ts";
import { checkAgainstHost } from "./src/preflight/host-checks.ts";
import { checkFolders, newFolders } from "./src/preflight/storage-checks.ts";
import { requireMounted } from "./src/project-disks/mounted.ts";

/** What a program may want of its VMs that no config says. */
export interface StackProgramOptions {
  /**
   * Whether new VMs are started and waited for.
   * @default true
   */
  running?: boolean;
}

/**
 * The Pulumi program of a stack: config in, host, one ProjectVm an entry, outputs out.
 *
 * @throws pulumi.RunError without a stack for a user's mistake, all of them at once, before any resource is made
 * @example export default () => stackProgram();
 */
export function stackProgram(options: StackProgramOptions = {}) {
  // Pulumi's runner maps every stack back to its sources, and its SDK takes one for each output: 1.2 of the 7.1 seconds of CPU of a
  // preview that changes nothing. Node's own mapping is there where it is asked for: NODE_OPTIONS=--enable-source-maps
  Reflect.deleteProperty(Error, "prepareStackTrace");
  return program(options).catch((error) => {
    throw error instanceof UserError ? withoutStack(new pulumi.RunError(error.message)) : error;
  });
}

async function program({ running = true }: StackProgramOptions) {
  const stack = pulumi.getStack();
  const root = process.cwd();
  const file = stackFileName(root, stack);
  await requireGround(root, stack, file);
  const given = pulumi.runtime.allConfig();
  const config = parseStackConfig(given, file);
  const names = Object.keys(config.projects);
  // Before the host is looked at: it would be another one than that of the VMs. Projects may stand in Pulumi.yaml, or in another file.
  const isEmptied = !givesProjects(given) && saysNothing(root, file);
  if (isEmptied) refuseRemovals(file, vmsIn(await readStackState(root, stack)));
  for (const notice of config.notices) pulumi.log.info(notice);
  const sshKeys = names.length > 0 ? sshKeysOrOwn(config.sshKeys, file, [`${localSshKey(root)}.pub`]) : [];
  if (!config.sshKeys) for (const line of skippedSshKeys()) pulumi.log.warn(line);
  const host = resolveHost(config, root);
  const found = await takeInventory(host.settings);
  const here = { storageDir: host.settings.storageDir, owner: stack, projects: names };
  if (isEmptied)
    refuseRemovals(
      file,
      vmsWithoutEntry({ ...here, inventory: found }).map(({ name }) => name),
    );
  const hasDisk = (name: string) => findProject(found, host.settings.storageDir, name).projectDisk !== undefined;
  const unseen = names.filter((name) => !hasDisk(name));
  // No new one is begun below a disk that is away, and before all else that is wrong there by that: its pools do not start.
  await requireMounted(host.settings, unseen, cannotGive(file));
  const { errors, pools, warnings } = await checkOfStack(config, host.settings, found, { stack, root, file });
  for (const warning of warnings) pulumi.log.warn(warning);
  const issues = [...errors, ...pools];
  if (issues.length > 0) throw new UserError(cannotGive(file), issues);
  const look = await lookWhereNew(config, host.settings, found, file);
  if (!pulumi.runtime.isDryRun() && (await closeBeforeUpdate(host.settings, found, look)))
    pulumi.log.warn(openDisks(stack));

  const tailnet = config.tailnet && (await lookAtTailnet(config.tailnet, names, { inventory: found, file }));
  const inventory = tailnet?.inventory ?? found;
  const placed = { ...here, inventory };
  // The state is read only where something is to go.
  const removable = vmsWithoutEntry(placed).length > 0 ? (await readStackState(root, stack))?.removable : undefined;
  const view = { ...placed, removable };
  for (const change of describeRemovals(view)) pulumi.log.info(recordLine(change));
  if (!config.host) warnOfLostDisks(unseen);
  const vmHost = new VmHost(stack, {
    settings: host.settings,
    image: config.image,
    inventory,
    ...(tailnet ? { tailnet: tailnet.args } : {}),
  });
  const ssh = sshFilePaths(localDir(root), stack);
  const projects = pulumi.all(
    Object.entries(config.projects).map(([name, settings]) => {
      const vm = new ProjectVm(name, { host: vmHost, sshKeys, running, ...vmRequest(settings) });
      return pulumi
        .all([vm.disks, vm.readiness, vm.image])
        .apply(([disks, ready, image]) => projectOutput(name, { disks, ready, image, inventory, ssh }));
    }),
  );
  return {
    projects: projects.apply((all) => Object.fromEntries(all.map((project) => [project.name, project]))),
    keptDisks: keptDisks(view),
    instructions: projects.apply((all) => {
      if (!pulumi.runtime.isDryRun()) writeSshFiles(ssh, all, host.ssh);
      return instructions(stack, file, all);
    }),
  };
}

/** What an update stands on, before anything is read of what it is to do. A preview writes no state. */
async function requireGround(root: string, stack: string, file: string): Promise<void> {
  checkStackFile(root, file);
  if (!pulumi.runtime.isDryRun()) await requireStateRoom(root, stack);
}

/** What of a config its host cannot give. The state, which tells that a stack was renamed, is read only where something is wrong. */
async function checkOfStack(
  config: StackConfig,
  settings: HostSettings,
  found: Inventory,
  { stack, root, file }: { stack: string; root: string; file: string },
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
async function lookWhereNew(config: StackConfig, host: HostSettings, inventory: Inventory, file: string) {
  const look = await lookBeforeUpdate(host, newFolders({ config, inventory }));
  if (typeof look === "string") {
    pulumi.log.warn(`${host.storageDir} on ${host.uri} could not be looked at before something is put there: ${look}`);
    return undefined;
  }
  if (look === undefined) return undefined;
  const { errors, warnings } = checkFolders({ config, host, inventory, file }, look);
  if (errors.length > 0) throw new UserError(cannotGive(file), errors);
  for (const warning of warnings) pulumi.log.warn(warning);
  return look;
}

/** Each update would look for lost hosts, were it not for new projects alone. */
function warnOfLostDisks(unseen: string[]): void {
  const lines = unseen.length > 0 ? describeLostDisks(unseen, lostHosts()) : [];
  for (const line of lines) pulumi.log.warn(line);
}

const cannotGive = (file: string) => `${file} asks for what its host cannot give.`;

const openDisks = (stack: string) =>
  `any user of the host may read disks of its VMs; see: project-vm doctor --stack ${stack}`;

/** Beside not being shown, a stack costs 15 s: Node 20 stumbles over frames such as `node_modules/@pulumi/resource.ts`. */
function withoutStack(error: Error): Error {
  error.stack = "";
  return error;
}
