import * as pulumi from "@pulumi/pulumi";
import { ProjectVm } from "./components/project-vm.ts";
import { lookAtTailnet } from "./components/tailnet-args.ts";
import { VmHost } from "./components/vm-host.ts";
import { instructions, projectOutput } from "./src/checkout/outputs.ts";
import { localDir } from "./src/checkout/resolve.ts";
import { sshFilePaths, writeSshFiles } from "./src/checkout/ssh-files.ts";
import { readStackState } from "./src/checkout/stack-state.ts";
import { UserError } from "./src/core/errors.ts";
import { recordLine } from "./src/core/records.ts";
import { describeRemovals, keptDisks, vmsWithoutEntry } from "./src/lifecycle/leftovers.ts";
import { preflight } from "./src/preflight/preflight.ts";

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
  const [root, stack, isPreview] = [process.cwd(), pulumi.getStack(), pulumi.runtime.isDryRun()];
  const run = { root, stack, isPreview, given: pulumi.runtime.allConfig(), log: pulumi.log };
  const { config, file, sshKeys, host, inventory: found, place } = await preflight(run);
  const tailnet = config.tailnet && (await lookAtTailnet(config.tailnet, place.projects, { inventory: found, file }));
  const inventory = tailnet?.inventory ?? found;
  // The state is read only where something is to go.
  const isLess = vmsWithoutEntry({ ...place, inventory }).length > 0;
  const view = { ...place, inventory, removable: isLess ? (await readStackState(root, stack))?.removable : undefined };
  for (const change of describeRemovals(view)) pulumi.log.info(recordLine(change));

  const image = config.image;
  const vmHost = new VmHost(stack, {
    settings: host.settings,
    image,
    inventory,
    ...(tailnet && { tailnet: tailnet.args }),
  });
  const ssh = sshFilePaths(localDir(root), stack);
  const vms = Object.entries(config.projects).map(([name, settings]) => {
    const vm = new ProjectVm(name, { host: vmHost, sshKeys, running, settings });
    const made = pulumi.all([vm.disks, vm.readiness, vm.image]);
    return made.apply(([disks, ready, image]) => projectOutput(name, { disks, ready, image, inventory, ssh }));
  });
  const projects = pulumi.all(vms);
  return {
    projects: projects.apply((all) => Object.fromEntries(all.map((project) => [project.name, project]))),
    keptDisks: keptDisks(view),
    instructions: projects.apply((all) => {
      if (!isPreview) writeSshFiles(ssh, all, host.ssh);
      return instructions(stack, file, all);
    }),
  };
}

/** Beside not being shown, a stack costs 15 s: Node 20 stumbles over frames such as `node_modules/@pulumi/resource.ts`. */
function withoutStack(error: Error): Error {
  error.stack = "";
  return error;
}
