import { type GuestAddress, isGuestAddress } from "../core/guest-values.ts";

/** An address that libvirt's DHCP server has given away. */
export interface Lease {
  mac: string;
  address: GuestAddress;
}

/**
 * The leases in what `virsh -q net-dhcp-leases` prints. Of a line only what stands before the host name counts: that and
 * the client's ID behind it are a guest's own words, and may well hold another's MAC address.
 */
export function leasesIn(output: string): Lease[] {
  const column = /^.*?\s((?:[\da-f]{2}:){5}[\da-f]{2})\s+ipv[46]\s+([\da-fA-F.:]+)\/\d+(?:\s|$)/;
  return output.split("\n").flatMap((line) => {
    const [, mac, address] = column.exec(line) ?? [];
    return mac !== undefined && isGuestAddress(address) ? [{ mac, address }] : [];
  });
}
