import { domainName, macAddress } from "../config/names.ts";
import { type Lease, leasesIn } from "../host/leases.ts";
import { type NetworkXml, parseDomain, parseNetwork } from "../host/libvirt-xml.ts";
import { answerOrNone } from "../host/unreachable.ts";
import type { Virsh } from "../host/virsh.ts";
import { contains, type GuestAddress, subnets } from "./values.ts";

/** What libvirt knows of the network that a guest is on. */
export interface GuestNetwork {
  /** Its ranges, each by the host's own address in it. @example ["10.77.0.1/24"] */
  ranges: string[];
  /** Addresses that it gives to one MAC address and no other. */
  reservations: { mac: string; ip: string }[];
  leases: Lease[];
}

/** @returns undefined where the guest is on no network of libvirt's, so that its addresses come from elsewhere */
export async function networkOf(virsh: Virsh, project: string): Promise<GuestNetwork | undefined> {
  const { network } = parseDomain(await virsh.run("dumpxml", domainName(project)));
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
 * there, and not reserved for another, or leased to it. A guest that named another's address would have its user log in there. Pure.
 */
export function givenBy(network: GuestNetwork | undefined, project: string, told: GuestAddress[]): GuestAddress[] {
  if (!network || network.ranges.length === 0) return told;
  const { ranges, reservations, leases } = network;
  const given = [...reservations.map(({ mac, ip }) => ({ mac, address: ip })), ...leases];
  const within = subnets(...ranges);
  const hosts = ranges.map((range) => range.split("/")[0]);
  const isAnothers = (address: string) =>
    given.some((one) => one.address === address && one.mac.toLowerCase() !== macAddress(project));
  return told.filter((one) => contains(within, one) && !hosts.includes(one) && !isAnothers(one));
}
