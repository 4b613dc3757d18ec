import { contains, familyOf, type GuestAddress, isAddress, subnets } from "../core/guest-values.ts";
import { domainName, macAddress } from "../core/names.ts";
import { type Lease, leasesIn } from "../libvirt/leases.ts";
import { type NetworkXml, parseDomain, parseNetwork } from "../libvirt/libvirt-xml.ts";
import { answerOrNone } from "../libvirt/unreachable.ts";
import type { Virsh } from "../libvirt/virsh.ts";

/** What libvirt knows of the network that a guest is on. */
export interface GuestNetwork {
  /** Its ranges, each by the host's own address in it. @example ["10.77.0.1/24"] */
  ranges: string[];
  /** Addresses that it gives to one MAC address and no other. */
  reservations: { mac: string; ip: string }[];
  leases: Lease[];
}

/**
 * By the definition, not by what the VM has now: a guest can eject its interface, as it can any PCI device, and libvirt then shows
 * none. The addresses that it tells would count as given by no network of libvirt's, and be taken as they are.
 *
 * @returns undefined where the guest is on no network of libvirt's, so that its addresses come from elsewhere
 */
export async function networkOf(virsh: Virsh, project: string): Promise<GuestNetwork | undefined> {
  const { network } = parseDomain(await virsh.run("dumpxml", domainName(project), "--inactive"));
  if (network === undefined) return undefined;
  const xml = await virsh.run("net-dumpxml", network);
  // It may be one that gives no addresses away.
  const leases = await answerOrNone(virsh.run("net-dhcp-leases", network));
  const found = parseNetwork(xml);
  return { ranges: rangesOf(found), reservations: found.reservations, leases: leasesIn(leases) };
}

function rangesOf({ gateway, cidr, ipv6 }: NetworkXml): string[] {
  return [
    ...(gateway && cidr ? [`${gateway}/${cidr.split("/")[1]}`] : []),
    ...ipv6.filter((one) => /\/\d+$/.test(one)),
  ];
}

/**
 * Of the addresses that a guest tells, those that its network could have given it: in one of its ranges, not the host's own
 * there, not reserved for another, or leased to it, and where one is reserved for it, that one alone. A guest that named another's
 * address would have its user log in there. Pure.
 */
export function givenBy(network: GuestNetwork | undefined, project: string, told: GuestAddress[]): GuestAddress[] {
  if (!network || network.ranges.length === 0) return told;
  const { ranges, reservations, leases } = network;
  const isOurs = ({ mac }: { mac: string }) => mac.toLowerCase() === macAddress(project);
  const reserved = reservations.filter(isOurs).flatMap(({ ip }) => (isAddress(ip) ? [ip] : []));
  const others = [...reservations.map(({ mac, ip }) => ({ mac, address: ip })), ...leases]
    .filter((one) => !isOurs(one))
    .map(({ address }) => address);
  const hosts = ranges.map((range) => range.split("/")[0] as string);
  const within = subnets(...ranges);
  const taken = addresses(...hosts, ...others);
  const own = addresses(...reserved);
  const hasReserved = (one: GuestAddress) => reserved.some((address) => familyOf(address) === familyOf(one));
  return told.filter(
    (one) => contains(within, one) && !contains(taken, one) && (!hasReserved(one) || contains(own, one)),
  );
}

/** IPv6 addresses are the same however they are written; a reservation may be of a name alone. */
const addresses = (...all: string[]) =>
  subnets(...all.filter(isAddress).map((one) => `${one}/${familyOf(one) === "ipv6" ? 128 : 32}`));
