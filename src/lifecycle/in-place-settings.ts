import type { Log } from "../core/log.ts";
import { domainName, filterName } from "../core/names.ts";
import { markKeepData, marksOf } from "../libvirt/marks.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { devicesOf } from "../project-disks/domain-look.ts";
import { growDisks } from "./grow.ts";
import { attachFilter, defineFilter, type FilterSettings, ownInterfaces } from "./network-filter.ts";

/** What of a VM changes while it runs, without redefining it. Sizes in bytes. */
export interface InPlaceSettings {
  disk: number;
  rootDisk: number;
  autostart: boolean;
  keepData: boolean;
  /** undefined: it is on a network of the user's own. */
  filter?: FilterSettings | undefined;
}

/**
 * Brings a VM that is there to its settings, running or off, without a restart. Can be cut off and done again.
 *
 * @param changed whether they were others before, in which case an earlier attempt may have been cut off half-way
 */
export async function applyInPlace(
  virsh: Virsh,
  project: string,
  { disk, rootDisk, autostart, keepData, filter }: InPlaceSettings,
  log: Log,
  changed: boolean,
): Promise<void> {
  const domain = domainName(project);
  const marks = await marksOf(virsh, domain);
  if ((marks.keepData ?? true) !== keepData) await markKeepData(virsh, domain, keepData);
  const autostarts = (await virsh.run("list", "--all", "--autostart", "--name")).split("\n").includes(domain);
  if (autostarts !== autostart) await virsh.run("autostart", domain, ...(autostart ? [] : ["--disable"]));
  if (filter) await bringFilter(virsh, project, log, changed);
  await growDisks(virsh, project, { project: disk, root: rootDisk }, log, changed);
}

/** A new VM has its filter since before it was started; one that was made before there were filters, or lost it, gets it. */
async function bringFilter(virsh: Virsh, project: string, log: Log, changed: boolean): Promise<void> {
  const own = ownInterfaces(project, await devicesOf(virsh, domainName(project)));
  const isChosen = (filter: string | undefined) => filter !== undefined && filter !== filterName(project);
  const chosen = own.map(({ filter }) => filter).find(isChosen);
  if (chosen) log(`${project}: has the network filter ${chosen}, which somebody else put there, and keeps it`);
  const [first] = own.filter(({ filter }) => filter === undefined || (changed && !isChosen(filter)));
  if (first === undefined) return;
  await defineFilter(virsh, project, first.on);
  await attachFilter(virsh, project);
}
