import type { Issue } from "../core/errors.ts";
import { domainName, filterName, isManagedDomain, macAddress } from "../core/names.ts";
import { type DomainDevices, type NicDevice, parseDevices } from "../libvirt/domain-devices.ts";
import { interfaceWithFilter } from "../libvirt/edited-xml.ts";
import type { DomainFound, Inventory, NetworkFound } from "../libvirt/inventory.ts";
import { parseNetwork } from "../libvirt/libvirt-xml.ts";
import { type DomainPlace, refuseManualChanges } from "../libvirt/manual-changes.ts";
import { answerOrNone } from "../libvirt/unreachable.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { withXmlFile } from "../libvirt/xml-file.ts";
import { releaseAddress, reserveAddress } from "./address.ts";
import { filterXml, rulesDigest } from "./filter-xml.ts";

/** That a VM has a network filter, among the settings that it is brought to while it runs. */
export interface FilterSettings {
  /** Other rules than before are put in place of those. */
  rules: string;
}

/** Whether this is the interface of a VM that gets its filter. */
const isOwn = (project: string, { mac, type }: NicDevice) => type === "network" && mac === macAddress(project);

/** The interface of a VM that gets its filter, in each view that has it: a guest can eject it, and a transform put it onto a bridge. */
export const ownInterfaces = (project: string, views: DomainDevices[]): NicDevice[] =>
  views.flatMap(({ nics }) => nics.filter((nic) => isOwn(project, nic)));

/**
 * Whether a VM that is there has no filter, as it runs or from its next start on, or one that does not hold. A filter that its user
 * chose is left alone. Pure.
 */
export function lacksFilter(
  project: string,
  { devices = [] }: Pick<DomainFound, "devices">,
  { filters, networks }: Pick<Inventory, "filters" | "networks">,
): boolean {
  return ownInterfaces(project, devices).some(({ filter, on }) => {
    if (filter === undefined) return true;
    if (filter !== filterName(project)) return false;
    const network = networks.find(({ name }) => name === on);
    const reserved = network?.reservations?.some(({ mac }) => mac === macAddress(project)) ?? true;
    return !reserved || filters?.includes(filter) === false;
  });
}

/** An interface that no filter holds, and the network of ours that it is on. */
export type BareInterface = NicDevice & { network: string };

/** The interfaces on these networks, or straight on their bridges, that no filter holds, each once. Pure. */
export function bareInterfaces(views: DomainDevices[], networks: NetworkFound[]): BareInterface[] {
  const all = views.flatMap(({ nics }) =>
    nics.flatMap((nic): BareInterface[] => {
      const network = networks.find(({ name, bridge }) => nic.on === name || nic.on === bridge);
      return network && nic.filter === undefined ? [{ ...nic, network: network.name }] : [];
    }),
  );
  return all.filter((nic, i) => i === all.findIndex(({ mac, on }) => mac === nic.mac && on === nic.on));
}

/**
 * A VM's further interfaces on networks that stacks make, which others attached, or whose MAC address they changed: its filter lets
 * one MAC address and one IP address through, and cannot serve them. Pure.
 */
export function strayInterfaces(
  { devices = [] }: Pick<DomainFound, "devices">,
  networks: NetworkFound[],
  { uri, project, stack }: Omit<DomainPlace, "isOff">,
): Issue[] {
  const managed = networks.filter(({ dnsDomain }) => isManagedDomain(dnsDomain));
  const strays = bareInterfaces(devices, managed).filter((nic) => !isOwn(project, nic));
  return strays.map(({ mac, type, network }) => {
    const places = devices.length > 1 ? ["--live", "--config"] : ["--config"];
    const where = places.filter((_, i) => devices[i]?.nics.some((nic) => nic.mac === mac));
    const detach = ["detach-interface", domainName(project), type, "--mac", mac, ...where].join(" ");
    const isOnly = !devices.at(-1)?.nics.some((nic) => isOwn(project, nic));
    const apply = `project-vm apply${stack === undefined ? "" : ` --stack ${stack}`}`;
    const back = isOnly ? `; a VM that has none left gets its own again, by a restart: ${apply}` : "";
    return {
      path: domainName(project),
      rule: `must have no interface on ${network} that no network filter holds, but has ${mac}: by it the guest can take other VMs' addresses`,
      remedy: `detach it: virsh -c '${uri}' ${detach}${back}`,
    };
  });
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
  const mac = macAddress(project);
  if (parseDevices(xml).nics.some((nic) => nic.mac === mac && nic.filter !== undefined)) return;
  const nic = interfaceWithFilter(xml, mac, filterName(project));
  if (nic) await withXmlFile(nic, (file) => virsh.run("update-device", domainName(project), file, where));
  // The guest may have ejected it while it runs.
  else if (where === "--config") refuseManualChanges(project, [lostInterface(project)]);
}

const lostInterface = (project: string): Issue => ({
  path: domainName(project),
  rule: `must have an interface with the MAC address ${macAddress(project)} in its definition, for its network filter`,
  remedy: "see what is wrong with it, and what mends it: project-vm doctor",
});

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
