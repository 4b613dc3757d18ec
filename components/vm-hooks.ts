import * as pulumi from "@pulumi/pulumi";
import type { HostSettings } from "../src/config/settings.ts";
import { recordLine } from "../src/core/records.ts";
import { makeConsoleFolder } from "../src/libvirt/console-log.ts";
import type { Inventory } from "../src/libvirt/inventory.ts";
import {
  droppedText,
  manualChanges,
  ownDevices,
  refuseManualChanges,
  savedMemoryIssue,
} from "../src/libvirt/manual-changes.ts";
import { virshFor } from "../src/libvirt/virsh.ts";
import { applyInPlace, type InPlaceSettings } from "../src/lifecycle/in-place-settings.ts";
import { defineFilter } from "../src/lifecycle/network-filter.ts";
import { findProject, usage } from "../src/lifecycle/plan.ts";
import {
  makeWayForDomain,
  makeWayForVolume,
  requireDataDisk,
  requireRoomForImage,
  suspendDomain,
} from "../src/lifecycle/replace.ts";

/** What is done on a host just before a child of a VM is made or changed. The engine runs a hook only when it really does so. */
export interface VmHooks {
  /** What is on the host of a VM that the state does not know is said; one that was changed by hand is refused. */
  adopt: pulumi.ResourceHook;
  /** A project disk that is there must be one. */
  checkProjectDisk: pulumi.ResourceHook;
  /** A guest in the way is shut down in order. */
  makeWayForDomain: pulumi.ResourceHook;
  /** A guest whose domain is already as it should be goes on without a restart. */
  suspendDomain: pulumi.ResourceHook;
  /** A root disk that is to be recreated is removed; the guest is shut down in order first. */
  removeRootDisk: pulumi.ResourceHook;
  /** As is the seed that goes with it. */
  removeSeed: pulumi.ResourceHook;
  /** Settings that take no restart. */
  applyNew: pulumi.ResourceHook;
  applyChanged: pulumi.ResourceHook;
}

/** The environment variable that carries a VM's {@link InPlaceSettings} in its `settings` command. */
export const settingsVariable = "PROJECT_VMS_SETTINGS";

/** A guest's memory is written to the host's disk: 16 GiB at 50 MB a second take six minutes. */
const suspendSeconds = 900;

const log = (line: string) => void pulumi.log.info(line);

/** What of a host its hooks go by. */
interface HookedHost {
  settings: HostSettings;
  owner: string;
  inventory: Inventory;
  filtersGuests: boolean;
}

/** The hooks of a host's VMs; they find out which VM by the name of the child that they are run for. */
export function vmHooks(hostName: string, host: HookedHost): VmHooks {
  const virsh = virshFor(host.settings.uri);
  const slow = virshFor(host.settings.uri, suspendSeconds);
  const place = { owner: host.owner, storageDir: host.settings.storageDir };
  const hook = (
    name: string,
    run: (project: string, inputs: Record<string, unknown>) => void | Promise<void>,
    opts?: pulumi.ResourceHookOptions,
  ) => new pulumi.ResourceHook(`${hostName}-${name}`, (args) => run(projectOf(args.name), args.newInputs ?? {}), opts);
  const apply = (changed: boolean) => (project: string, inputs: Record<string, unknown>) =>
    applyInPlace(virsh, project, settingsIn(inputs), log, changed);
  // Those whose disk came to light only with the pool that was made in its folder.
  const kept = new Set<string>();
  /** What a definition names must be there before the guest starts by it. */
  const makeWhatItNames = async (project: string, inputs: Record<string, unknown>) => {
    await makeConsoleFolder(virsh, host.settings.storageDir, project);
    const network = networkIn(inputs);
    if (host.filtersGuests && network !== undefined) await defineFilter(virsh, project, network);
  };
  return {
    adopt: hook("take-up", (project) => reportAdopted(host, project), { onDryRun: true }),
    checkProjectDisk: hook("check-project-disk", async (project) => {
      if (await requireDataDisk(virsh, project)) kept.add(project);
    }),
    makeWayForDomain: hook("make-way-for-domain", async (project, inputs) => {
      const { rootDisk, projectDisk } = findProject(host.inventory, place.storageDir, project);
      await makeWayForDomain(virsh, project, { ...place, isNew: !rootDisk && !projectDisk && !kept.has(project) }, log);
      await makeWhatItNames(project, inputs);
    }),
    suspendDomain: hook("put-by-domain", async (project, inputs) => {
      await suspendDomain(slow, project, place, log);
      await makeWhatItNames(project, inputs);
    }),
    removeRootDisk: hook("remove-root-disk", async (project, { baseVolumeId, size }) => {
      await requireRoomForImage(virsh, project, String(baseVolumeId), Number(size));
      await makeWayForVolume(virsh, project, "disk.qcow2", place, log);
    }),
    removeSeed: hook("remove-seed", (project) => makeWayForVolume(virsh, project, "seed.iso", place, log)),
    applyNew: hook("apply-settings", apply(false)),
    applyChanged: hook("apply-changed-settings", apply(true)),
  };
}

/** Children are named `<project>-<role>`. */
const projectOf = (child: string) => child.slice(0, child.lastIndexOf("-"));

/** The network of libvirt's of a domain that is about to be defined; undefined for one that a transform has put onto a bridge. */
function networkIn({ networkInterfaces }: Record<string, unknown>): string | undefined {
  return (networkInterfaces as { networkName?: string }[])[0]?.networkName || undefined;
}

function settingsIn({ environment }: Record<string, unknown>): InPlaceSettings {
  return JSON.parse((environment as Record<string, string>)[settingsVariable] ?? "") as InPlaceSettings;
}

function reportAdopted({ inventory, settings, owner }: Omit<HookedHost, "filtersGuests">, project: string): void {
  const { domain, rootDisk, projectDisk } = findProject(inventory, settings.storageDir, project);
  if (!domain) return;
  // It would be defined again over the one that is there.
  const place = { uri: settings.uri, project, stack: owner };
  const saved = domain.hasSavedMemory && !domain.marks.starting ? [savedMemoryIssue(place)] : [];
  refuseManualChanges(project, [...manualChanges(domain, settings.storageDir, place), ...saved]);
  const disks = [...(rootDisk ? ["root disk"] : []), ...(projectDisk ? [`project disk (${usage(projectDisk)})`] : [])];
  const parts = [`VM (${domain.state})`, ...disks].join(", ");
  const text = `is on the host but not in this stack's state: adopted as it is: ${parts}`;
  log(recordLine({ project, kind: "adopted", text }));
  const drops = droppedText(ownDevices(settings.storageDir, project), domain.devices ?? []);
  if (drops !== undefined) log(recordLine({ project, kind: "changed", text: drops }));
}
