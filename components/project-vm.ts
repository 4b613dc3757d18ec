import path from "node:path";
import type * as command from "@pulumi/command";
import type * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { resolveVmSettings } from "../src/config/parse.ts";
import { factOf } from "../src/core/errors.ts";
import { domainName } from "../src/core/names.ts";
import { recordLine } from "../src/core/records.ts";
import type { Readiness } from "../src/guest/ready.ts";
import { storedReadiness } from "../src/guest/stored.ts";
import { manualChanges, refuseManualChanges, savedMemoryIssue } from "../src/libvirt/manual-changes.ts";
import { strayInterfaces } from "../src/lifecycle/network-filter.ts";
import { describePlan, findProject, isWorkedOn, type VmPlan } from "../src/lifecycle/plan.ts";
import type { ProjectVmArgs, ResolvedVmArgs } from "./project-vm-args.ts";
import { ChildFactory } from "./transform.ts";
import { createBackup, createDomain, createPool, createReady, createSettings, createTeardown } from "./vm-children.ts";
import type { VmContext } from "./vm-context.ts";
import { createProjectDisk, createRootDisk, createSeed } from "./vm-disks.ts";

/**
 * A project's own VM on a libvirt host. By default it makes:
 * 1. the pool `project-<name>` at `<storageDir>/<name>`, which is kept when the VM goes;
 * 2. its teardown, which on removal shuts the guest down and takes away what follows, except the project disk;
 * 3. the root disk, `disk.qcow2`: a copy-on-write overlay of the host's base image;
 * 4. the project disk, `project.qcow2`: formatted once, when it is blank; kept when the VM goes, adopted when it comes back;
 * 5. the seed for cloud-init, `seed.iso`;
 * 6. the domain `project-<name>`, with a serial console, a guest agent, and a MAC address and disk serials that derive from the name;
 * 7. the wait until the VM is ready;
 * 8. the settings that take no restart: sizes of disks, autostart, whether its data is kept;
 * 9. where `backup` asks for it, a timer on the host.
 *
 * What a change does to the VM, its root and its data is said in a line, at the preview already.
 *
 * @example
 * const vm = new ProjectVm("myapp", { host, sshKeys: ["ssh-ed25519 AAAA… me@laptop"], memory: "8 GiB" });
 * export const address = vm.readiness.apply((ready) => ready?.addresses[0]);
 * @throws UserError for a name or a size that cannot be, all of them at once
 */
export class ProjectVm extends pulumi.ComponentResource {
  /** The domain's name on the host, which is also the guest's host name: `project-<name>`. */
  readonly domainName: string;
  /** Absolute paths on the host. */
  readonly disks: { root: pulumi.Output<string>; project: pulumi.Output<string> };
  /** What was found when the VM became ready; undefined for a VM that was made with `running: false`. */
  readonly readiness: pulumi.Output<Readiness | undefined>;
  /** Name of the base image that its root disk stands on; a newer one for new VMs does not change it. */
  readonly image: pulumi.Output<string>;
  readonly nodes: {
    pool: libvirt.Pool;
    teardown: command.local.Command;
    rootDisk: libvirt.Volume;
    projectDisk: libvirt.Volume;
    seed: libvirt.Volume;
    domain: libvirt.Domain;
    ready: command.local.Command | undefined;
    settings: command.local.Command;
    backup: command.local.Command | undefined;
  };

  constructor(name: string, args: ProjectVmArgs | ResolvedVmArgs, opts?: pulumi.ComponentResourceOptions) {
    super("project-vms:index:ProjectVm", name, {}, opts);
    const settings = resolveVmSettings(name, args);
    const { host } = args;
    const context: VmContext = {
      name,
      args,
      settings,
      host,
      dir: `${host.settings.storageDir}/${name}`,
      image: host.baseImage(settings.image),
      found: findProject(host.inventory, host.settings.storageDir, name),
    };
    const children = new ChildFactory(this, name, args.transform);

    const pool = createPool(children, context);
    const teardown = createTeardown(children, context, pool);
    const rootDisk = createRootDisk(children, context, pool, teardown);
    const projectDisk = createProjectDisk(children, context, pool, teardown);
    const seed = createSeed(children, context, pool, rootDisk);
    const { domain, instance, wanted, plan } = createDomain(children, context, { rootDisk, projectDisk, seed });
    checkManualChanges(this, context, plan);
    const ready =
      args.running === false ? undefined : createReady(children, context, domain, [wanted.definition, instance]);
    const inPlace = createSettings(children, context, ready ?? domain);
    const backup = createBackup(children, context, projectDisk);
    const change = describePlan(context.found, wanted, plan);
    if (change) pulumi.log.info(recordLine(change), this);

    this.domainName = domainName(name);
    this.disks = { root: rootDisk.id, project: projectDisk.id };
    this.readiness = pulumi.unsecret(pulumi.output(ready?.stdout)).apply((text) => storedReadiness(text, name));
    const { rootDisk: foundRoot } = context.found;
    const keeps = plan.root !== "rebuilt" && foundRoot?.backingPath;
    this.image = keeps ? pulumi.output(path.posix.basename(keeps)) : context.image.published.name;
    this.nodes = { pool, teardown, rootDisk, projectDisk, seed, domain, ready, settings: inPlace, backup };
    this.registerOutputs({
      domainName: this.domainName,
      disks: this.disks,
      readiness: this.readiness,
      image: this.image,
    });
  }
}

/**
 * A VM that others have changed is not worked on; one that stays as it is anyway is only named.
 *
 * @throws UserError before any of it is changed
 */
function checkManualChanges(vm: ProjectVm, { name, host, found, args }: VmContext, plan: VmPlan): void {
  if (!found.domain) return;
  const { uri, storageDir } = host.settings;
  const place = { uri, project: name, stack: host.owner };
  // A new definition drops them, and says so; what a transform adds is no hand's work.
  const isDropped = plan.domain === "redefined" || args.transform?.domain !== undefined;
  const strays = isDropped ? [] : strayInterfaces(found.domain, host.inventory.networks, place);
  const issues = [...manualChanges(found.domain, storageDir, place), ...strays];
  const saved = found.domain.hasSavedMemory ? [savedMemoryIssue(place)] : [];
  if (isWorkedOn(plan)) refuseManualChanges(name, [...issues, ...saved]);
  for (const issue of issues) pulumi.log.warn(`${factOf(issue)}: ${issue.remedy}`, vm);
}
