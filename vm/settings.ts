import { domainName, filterName } from "../config/names.ts";
import { nicOf, parseDomain } from "../host/libvirt-xml.ts";
import type { Virsh } from "../host/virsh.ts";
import { growDisks, type Log } from "./grow.ts";
import { markKeepData, marksOf } from "./marks.ts";
import { attachFilter, defineFilter, type FilterSettings } from "./network-filter.ts";

/** What of a VM changes while it runs, without defining it anew. Sizes in bytes. */
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
  const now = parseDomain(await virsh.run("dumpxml", domainName(project)));
  const defined = parseDomain(await virsh.run("dumpxml", domainName(project), "--inactive"));
  const { filter, network } = nicOf([now, defined]);
  if (network === undefined || (filter === filterName(project) && !changed)) return;
  if (filter !== undefined && filter !== filterName(project)) {
    log(`${project}: has the network filter ${filter}, which somebody else put there, and keeps it`);
    return;
  }
  await defineFilter(virsh, project, network);
  await attachFilter(virsh, project);
}
