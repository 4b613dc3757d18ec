import * as pulumi from "@pulumi/pulumi";
import { instructions, projectOutput } from "./components/outputs.ts";
import { ProjectVm } from "./components/project-vm.ts";
import { VmHost } from "./components/vm-host.ts";
import { UserError } from "./config/errors.ts";
import { checkAgainstHost } from "./config/host-checks.ts";
import { parseStackConfig } from "./config/parse.ts";
import { sshKeysOrOwn } from "./config/user-ssh-keys.ts";
import { vmRequest } from "./config/vm-request.ts";
import { sshFilePaths, writeSshFiles } from "./guest/ssh-files.ts";
import { takeInventory } from "./host/inventory.ts";
import { localDir, localSshKey, resolveHost } from "./host/resolve.ts";

const stack = pulumi.getStack();
const file = `Pulumi.${stack}.yaml`;
const root = process.cwd();

/** Config in, host, one ProjectVm an entry, outputs out. */
async function program() {
  const config = parseStackConfig(pulumi.runtime.allConfig(), file);
  for (const notice of config.notices) pulumi.log.info(notice);
  const sshKeys =
    Object.keys(config.projects).length > 0 ? sshKeysOrOwn(config.sshKeys, file, [`${localSshKey(root)}.pub`]) : [];
  const host = resolveHost(config, root);
  const inventory = await takeInventory(host.settings);
  const { errors, warnings } = checkAgainstHost(config, host.settings, inventory, stack, file);
  for (const warning of warnings) pulumi.log.warn(warning);
  if (errors.length > 0) throw new UserError(`${file} asks for what its host cannot give.`, errors);

  const vmHost = new VmHost(stack, { settings: host.settings, image: config.image, inventory });
  const ssh = sshFilePaths(localDir(root), stack);
  const projects = pulumi.all(
    Object.entries(config.projects).map(([name, settings]) => {
      const vm = new ProjectVm(name, { host: vmHost, sshKeys, ...vmRequest(settings) });
      return pulumi
        .all([vm.disks, vm.readiness, vmHost.image.name])
        .apply(([disks, ready, newest]) => projectOutput(name, { disks, ready, newest, inventory, ssh }));
    }),
  );
  return {
    projects: projects.apply((all) => Object.fromEntries(all.map((project) => [project.name, project]))),
    instructions: projects.apply((all) => {
      if (!pulumi.runtime.isDryRun()) writeSshFiles(ssh, all, host.ssh);
      return instructions(stack, file, all);
    }),
  };
}

export default () =>
  program().catch((error) => {
    throw error instanceof UserError ? withoutStack(new pulumi.RunError(error.message)) : error;
  });

/** Beside not being shown, a stack costs 15 s: Node 20 stumbles over frames such as `node_modules/@pulumi/resource.ts`. */
function withoutStack(error: Error): Error {
  error.stack = "";
  return error;
}
