import { randomBytes } from "node:crypto";
import * as command from "@pulumi/command";
import * as libvirt from "@pulumi/libvirt";
import type * as pulumi from "@pulumi/pulumi";
import { diskSerial, domainName, domainUuid, filterName, macAddress, ownerMark, poolName } from "../src/core/names.ts";
import { MiB } from "../src/core/sizes.ts";
import { consoleLogFile } from "../src/libvirt/console-log.ts";
import { embeddedHostFor, leadsTo } from "../src/libvirt/embedded-layout.ts";
import { type OwnDevices, ownDevices } from "../src/libvirt/manual-changes.ts";
import { definitionDigest, rootDigest } from "../src/lifecycle/definition.ts";
import type { InPlaceSettings } from "../src/lifecycle/in-place-settings.ts";
import { filterSettings, lacksFilter } from "../src/lifecycle/network-filter.ts";
import {
  adoptedBigger,
  isLeftOff,
  isToRedefine,
  isToRun,
  lacksSettings,
  planVm,
  type VmWanted,
} from "../src/lifecycle/plan.ts";
import type { Teardown } from "../src/lifecycle/teardown.ts";
import { scheduleEnvironment } from "../src/project-disks/schedule-environment.ts";
import type { ReadyRequest } from "../src/steps/wait-until-ready.ts";
import { dirPool } from "./dir-pool.ts";
import { domainXslt, standingAlone, withFilter, withMarks, withoutBalloon } from "./domain-xslt.ts";
import { entryCommand } from "./entry-command.ts";
import { elementsMade } from "./stylesheet.ts";
import type { Children, VmContext } from "./vm-context.ts";
import { settingsVariable } from "./vm-hooks.ts";
import { apiEnvironment, isToJoin, tailnetDigest, tailnetEnvironment } from "./vm-tailnet.ts";

/*
 * The provider deletes nothing of a VM: all children have `retainOnDelete`, and what goes with a VM is taken away by its
 * teardown, which shuts the guest down first and can be cut off and done again. So no replacement, whatever its reason,
 * ever deletes a disk. What is in the way of a child that is recreated is removed by a hook just before.
 */

/** A command that does nothing itself: what it stands for is done by hooks, or at its deletion. */
const nothing = "true";

/** A pool is how libvirt, also a remote one, finds a kept project disk again. */
export function createPool(children: Children, { name, host, dir }: VmContext) {
  const { args, opts } = dirPool(poolName(name), dir, host.inventory, host.provider);
  return children.create("pool", libvirt.Pool, args, opts);
}

/** Made first, so that it is there to take away whatever of the rest was made. */
export function createTeardown(children: Children, { name, host, settings }: VmContext, pool: libvirt.Pool) {
  const { tailnet } = host;
  const teardown: Teardown = {
    uri: host.settings.uri,
    project: name,
    owner: host.owner,
    ...ownCheckout(host.settings.uri),
    storageDir: host.settings.storageDir,
    keepData: settings.keepData,
    ...(tailnet
      ? { tailnet: { domain: tailnet.domain, tag: tailnet.tag, server: tailnet.server, headscale: tailnet.headscale } }
      : {}),
  };
  return children.create(
    "teardown",
    command.local.Command,
    {
      create: nothing,
      delete: entryCommand(new URL("../src/steps/tear-down-vm.ts", import.meta.url)),
      environment: {
        PROJECT_VMS_TEARDOWN: JSON.stringify(teardown),
        ...(tailnet ? apiEnvironment(tailnet) : {}),
      },
      logging: "stderr",
    },
    { dependsOn: pool },
  );
}

/** A state may be copied with its checkout; an embedded host is of one checkout. */
function ownCheckout(uri: string): Pick<Teardown, "checkout"> {
  const own = embeddedHostFor(process.cwd());
  return leadsTo(own, uri) ? { checkout: own.checkout } : {};
}

interface Volumes {
  rootDisk: libvirt.Volume;
  projectDisk: libvirt.Volume;
  seed: libvirt.Volume;
}

/** All that can be said of a domain, and what a refresh reads of one that boots by UEFI. */
const allOf = (args: libvirt.DomainArgs) => [
  ...new Set([...Object.keys(args), "type", "xml", "running", "autostart", "firmware", "nvram"]),
];

/**
 * Whether the domain that is on the host is the one that is wanted, its own marks tell. If it is, nothing of it is
 * changed, whatever the state knows of it; if it is not, it is redefined. One that the state does not know is defined
 * over the one that is there, since an import would read too little back and ask for a replacement.
 */
export function createDomain(children: Children, context: VmContext, volumes: Volumes) {
  const { name, settings, host, found } = context;
  // One that the host has no more is recreated, although the state says that it is there; as is one that has lost a part.
  const made = isToRedefine(found) ? undefined : found.domain?.marks.instance;
  const instance = made ?? randomBytes(6).toString("hex");
  const given = domainArgs(context, volumes);
  const ownXslt = (given.xml as { xslt: string }).xslt;
  const child = children.prepare("domain", libvirt.Domain, given, { provider: host.provider, retainOnDelete: true });
  const { args, opts } = child;
  const { running, autostart, ...definition } = args;
  const xslt = (args.xml as { xslt: string }).xslt;
  // With its addresses: a network that is recreated cuts off the guests on it until they restart.
  const digest = definitionDigest({ ...definition, network: host.settings.network });
  const transformed = context.args.transform?.domain && transformedBy(xslt, ownXslt);
  const wanted = wantedVm(context, digest, transformed);
  const plan = planVm(found, wanted);
  const unchanged = plan.domain === "unchanged";
  const { keepData } = settings;
  const joined = found.domain?.marks.tailnet ? { tailnet: found.domain.marks.tailnet } : {};
  const root = rootDigest(settings);
  const bigger = adoptedBigger(found, settings.disk);
  const adopted = bigger ? { adopted: bigger } : {};
  const marks = { definition: digest, instance, root, keepData, starting: running === true, ...joined, ...adopted };
  const marked = withoutBalloon(standingAlone(withMarks(xslt, marks), "vdb"));
  args.xml = { xslt: host.filtersGuests ? withFilter(marked, macAddress(name), filterName(name)) : marked };
  opts.replacementTrigger = [digest, root, instance];
  opts.ignoreChanges = [...(opts.ignoreChanges ?? []), ...(unchanged ? allOf(args) : ["running", "autostart"])];
  opts.hooks = { beforeCreate: [unchanged ? host.hooks.suspendDomain : host.hooks.makeWayForDomain] };
  return { domain: child.make(), instance, wanted, plan };
}

/** @param definition the digest of what the domain is made from */
function wantedVm(context: VmContext, definition: string, transformed: OwnDevices["transformed"]): VmWanted {
  const { name, settings, host } = context;
  return {
    name,
    settings,
    network: host.settings.network,
    virtualization: host.inventory.virtualization,
    definition,
    tailnet: host.tailnet?.domain,
    filter: isToGetFilter(context),
    devices: {
      ...ownDevices(host.settings.storageDir, name),
      ...(transformed ? { transformed } : {}),
    },
  };
}

/** What a transform makes is no hand's work; what its stylesheet does not show is not known. */
const transformedBy = (xslt: string, own: string): NonNullable<OwnDevices["transformed"]> => ({
  says: (word) => xslt.toLowerCase().includes(word.toLowerCase()),
  makes: (element) => Math.max(0, elementsMade(xslt, element) - elementsMade(own, element)),
});

/** Whether a VM that is there has no filter that holds, and is to have one. */
const isToGetFilter = ({ name, host, found }: VmContext) =>
  host.filtersGuests && found.domain !== undefined && lacksFilter(name, found.domain, host.inventory);

function domainArgs({ name, settings, host, dir, args, found }: VmContext, volumes: Volumes): libvirt.DomainArgs {
  const emulated = host.inventory.virtualization === "emulated";
  const xslt = domainXslt({
    uuid: domainUuid(name),
    disks: [
      { target: "vda", file: `${dir}/disk.qcow2`, format: "qcow2", serial: diskSerial(name, "root") },
      { target: "vdb", file: `${dir}/project.qcow2`, format: "qcow2", serial: diskSerial(name, "project") },
      { target: "vdc", file: `${dir}/seed.iso`, format: "raw", serial: diskSerial(name, "seed"), readonly: true },
    ],
    firmware: settings.firmware,
    consoleLog: consoleLogFile(host.settings.storageDir, name),
  });
  return {
    name: domainName(name),
    description: ownerMark(host.owner),
    type: emulated ? "qemu" : "kvm",
    // The provider's default, qemu64, lacks instructions that Claude Code needs.
    cpu: { mode: emulated ? "maximum" : "host-passthrough" },
    memory: settings.memory / MiB,
    vcpu: settings.cpus,
    autostart: settings.autostart,
    // Whether a VM that is there runs is its user's business.
    running: found.domain ? isToRun(found.domain) : (args.running ?? true),
    disks: [volumes.rootDisk, volumes.projectDisk, volumes.seed].map((volume) => ({ volumeId: volume.id })),
    networkInterfaces: [{ networkName: host.networkName, mac: macAddress(name), waitForLease: false }],
    xml: { xslt },
  };
}

/**
 * Starts the guest, if it was left off, and waits until it is ready, whenever its domain was redefined, as `madeAs` tells, or
 * its root recreated, or it has a tailnet to join, another one or again.
 * What it is told besides is for that moment only: a new key or address of the host is no reason to ask again, nor is
 * another place of the step (bin/former-steps.js).
 */
export function createReady(children: Children, context: VmContext, domain: libvirt.Domain, madeAs: string[]) {
  const { name, host, settings, found } = context;
  const { tailnet } = host;
  // Nothing else of it may have changed. By a replacementTrigger the engine replaces nothing that had none before.
  const isAskedAgain = isLeftOff(found) || isToJoin(context);
  const request: ReadyRequest = {
    uri: host.settings.uri,
    project: name,
    virtualization: host.inventory.virtualization,
    // No later update looks at this.
    ...(isAskedAgain ? { asOf: new Date().toISOString() } : {}),
  };
  return children.create(
    "ready",
    command.local.Command,
    {
      create: entryCommand(new URL("../src/steps/wait-until-ready.ts", import.meta.url)),
      environment: {
        PROJECT_VMS_READY: JSON.stringify(request),
        ...tailnetEnvironment(context),
      },
      triggers: [...madeAs, rootDigest(settings), ...(tailnet ? [tailnetDigest(tailnet)] : [])],
      logging: "stderr",
    },
    {
      ...{ deleteBeforeReplace: true, dependsOn: domain },
      ignoreChanges: isAskedAgain ? [] : ["create", "environment"],
    },
  );
}

/** Since when a VM is known to lack what takes no restart. */
const lackingVariable = "PROJECT_VMS_LACKING";

/** Settings that take no restart: hooks bring the VM to them, before this notes down that they hold. */
export function createSettings(children: Children, context: VmContext, after: pulumi.Resource) {
  const { host, settings } = context;
  const { disk, rootDisk, autostart, keepData } = settings;
  const filter = host.filtersGuests ? { filter: filterSettings() } : {};
  // Others have changed the VM, the config has not: it is to be brought to that all the same. No later update looks at this.
  const lacking =
    isToGetFilter(context) || lacksSettings(context.found, settings)
      ? { [lackingVariable]: new Date().toISOString() }
      : undefined;
  const inPlace: InPlaceSettings = { disk, rootDisk, autostart, keepData, ...filter };
  return children.create(
    "settings",
    command.local.Command,
    { create: nothing, environment: { [settingsVariable]: JSON.stringify(inPlace), ...lacking } },
    {
      ignoreChanges: lacking ? [] : [`environment.${lackingVariable}`],
      hooks: { beforeCreate: [host.hooks.applyNew], beforeUpdate: [host.hooks.applyChanged] },
      dependsOn: after,
    },
  );
}

/** Backups that the host makes by itself, if any are wanted. */
export function createBackup(children: Children, { name, host, settings }: VmContext, after: pulumi.Resource) {
  if (!settings.backup) return undefined;
  const entry = entryCommand(new URL("../src/steps/backup-schedule.ts", import.meta.url));
  return children.create(
    "backup",
    command.local.Command,
    {
      create: `${entry} install`,
      delete: `${entry} remove`,
      environment: scheduleEnvironment({
        uri: host.settings.uri,
        project: name,
        storageDir: host.settings.storageDir,
        backup: settings.backup,
      }),
      logging: "stderr",
    },
    { dependsOn: after },
  );
}
