import { domainName, filterName, macAddress } from "../config/names.ts";
import { interfaceWithFilter } from "../host/edited-xml.ts";
import type { DomainFound, Inventory } from "../host/inventory.ts";
import { parseDomain, parseNetwork } from "../host/libvirt-xml.ts";
import { answerOrNone } from "../host/unreachable.ts";
import type { Virsh } from "../host/virsh.ts";
import { withXmlFile } from "../host/xml-file.ts";
import { releaseAddress, reserveAddress } from "./address.ts";
import { filterXml, rulesDigest } from "./filter-xml.ts";

/** That a VM has a network filter, among the settings that it is brought to while it runs. */
export interface FilterSettings {
  /** Other rules than before are put in place of those. */
  rules: string;
}

/**
 * Whether a VM that is there has no filter, or one that does not hold. A filter that its user chose is left alone, and so is a VM
 * that is on no network of libvirt's: a transform has put it onto a bridge. Pure.
 */
export function lacksFilter(
  project: string,
  domain: Pick<DomainFound, "filter" | "network">,
  { filters, networks }: Pick<Inventory, "filters" | "networks">,
): boolean {
  if (domain.network === undefined) return false;
  if (domain.filter === undefined) return true;
  if (domain.filter !== filterName(project)) return false;
  const network = networks.find(({ name }) => name === domain.network);
  const reserved = network?.reservations?.some(({ mac }) => mac === macAddress(project)) ?? true;
  return !reserved || filters?.includes(domain.filter) === false;
}

/** What a VM's settings say of its filter. */
export const filterSettings = (): FilterSettings => ({ rules: rulesDigest() });

/** Reserves a VM's address and defines its filter; both again, with the same outcome, where they are there. Needs no domain. */
export async function defineFilter(virsh: Virsh, project: string, network: string): Promise<void> {
  const address = await reserveAddress(virsh, network, project);
  const { ipv6 } = parseNetwork(await virsh.run("net-dumpxml", network));
  await withXmlFile(filterXml({ project, address, ipv6 }), (file) => virsh.run("nwfilter-define", file));
}

/** Puts the filter onto a VM's interface, in its definition and while it runs: the guest does not notice. */
export async function attachFilter(virsh: Virsh, project: string): Promise<void> {
  const domain = domainName(project);
  const runs = (await virsh.run("domstate", domain)).trim() !== "shut off";
  await attach(virsh, project, await virsh.run("dumpxml", domain, "--inactive"), "--config");
  if (runs) await attach(virsh, project, await virsh.run("dumpxml", domain), "--live");
}

async function attach(virsh: Virsh, project: string, xml: string, where: "--config" | "--live"): Promise<void> {
  if (parseDomain(xml).filter !== undefined) return;
  const nic = interfaceWithFilter(xml, macAddress(project), filterName(project));
  if (nic) await withXmlFile(nic, (file) => virsh.run("update-device", domainName(project), file, where));
}

/** When a VM is gone: its filter goes, and its address is free again. Can be cut off and done again. */
export async function removeFilter(virsh: Virsh, project: string): Promise<void> {
  const name = filterName(project);
  // A libvirt that cannot filter has no filters.
  const filters = await answerOrNone(virsh.run("nwfilter-list"));
  if (filters.split("\n").some((line) => line.trim().split(/\s+/)[1] === name)) {
    await virsh.run("nwfilter-undefine", name);
  }
  await releaseAddress(virsh, project);
}
