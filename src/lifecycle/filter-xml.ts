import { createHash } from "node:crypto";
import { XMLBuilder } from "fast-xml-parser";
import { filterName, filterUuid, macAddress } from "../core/names.ts";

/** What a VM may send is bound to. */
export interface FilterRequest {
  project: string;
  /** Its IPv4 address. */
  address: string;
  /** The network's IPv6 prefixes, if it has any. @example ["fd00:77::1/64"] */
  ipv6: string[];
}

/** What a rule matches, by libvirt's own words: protocol and its attributes. */
type Match = { [protocol: string]: Record<string, string> };

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "@", suppressEmptyNode: true });

const anyAddress = "0.0.0.0";

/** Multicast and broadcast, by which frames are for all: libvirt takes only masks that begin with ones. */
const groups = [
  { "@dstmacaddr": "ff:ff:ff:ff:ff:ff" },
  { "@dstmacaddr": "01:00:5e:00:00:00", "@dstmacmask": "ff:ff:ff:80:00:00" },
  { "@dstmacaddr": "33:33:00:00:00:00", "@dstmacmask": "ff:ff:00:00:00:00" },
];

/**
 * The network filter of a VM, as libvirt defines it. All that is not named is dropped: the VM sends from its own MAC address,
 * ARP for its own IPv4 address, IPv4 from that address, and asks for it by DHCP. It answers no DHCP, advertises no router, and
 * sees no frame that is for another VM. All rules are ebtables ones: they take no `br_netfilter` in the host's kernel.
 */
export function filterXml({ project, address, ipv6 }: FilterRequest): string {
  const mac = macAddress(project);
  const rules = [
    ...received(mac),
    rule("drop", "out", { mac: { "@match": "no", "@srcmacaddr": mac } }),
    ...arp(mac, address),
    ...ipv4(address),
    ...(ipv6.length > 0 ? ipv6Rules(ipv6) : []),
    rule("drop", "out", { mac: {} }),
  ];
  return builder.build({
    filter: {
      "@name": filterName(project),
      "@chain": "root",
      uuid: filterUuid(project),
      // Equal priorities would be in no certain order.
      rule: rules.map((one, i) => ({ ...one, "@priority": String(100 + i) })),
    },
  });
}

/** The digest of the rules that this version of the program makes: with another one, filters are defined again. */
export function rulesDigest(): string {
  const all = filterXml({ project: "x", address: "192.0.2.1", ipv6: ["2001:db8::1/64"] });
  return createHash("sha256").update(all).digest("hex").slice(0, 16);
}

function rule(action: "accept" | "drop", direction: "in" | "out", match: Match) {
  return { "@action": action, "@direction": direction, ...match };
}

/** A bridge floods what is for an address that it has not heard of lately; that is nobody else's to read. */
function received(mac: string) {
  const mine = [{ "@dstmacaddr": mac }, ...groups].map((match) => rule("accept", "in", { mac: match }));
  return [...mine, rule("drop", "in", { mac: {} })];
}

function arp(mac: string, address: string) {
  const own = { "@arpsrcmacaddr": mac };
  return [
    rule("accept", "out", { arp: { ...own, "@arpsrcipaddr": address } }),
    // A probe, by which a system makes sure that nobody else has its address. One for another's would have that one give it up.
    rule("accept", "out", {
      arp: { ...own, "@arpsrcipaddr": anyAddress, "@arpdstipaddr": address, "@opcode": "Request" },
    }),
  ];
}

function ipv4(address: string) {
  const asks = { "@protocol": "udp", "@srcportstart": "68", "@dstportstart": "67" };
  return [
    // Whatever port an answer to a DHCP client comes from, some clients take it.
    rule("drop", "out", { ip: { "@protocol": "udp", "@srcportstart": "67" } }),
    rule("drop", "out", { ip: { "@protocol": "udp", "@dstportstart": "68" } }),
    rule("accept", "out", { ip: { "@srcipaddr": address } }),
    rule("accept", "out", { ip: { "@srcipaddr": anyAddress, "@dstipaddr": "255.255.255.255", ...asks } }),
  ];
}

/** Only on a network that somebody gave IPv6: guests choose their addresses there, so only the prefix is bound. */
function ipv6Rules(prefixes: string[]) {
  const [routerAdvertisement, redirect] = ["134", "137"];
  const from = (prefix: string) => {
    const [address = "", length = ""] = prefix.split("/");
    return { ipv6: { "@srcipaddr": address, "@srcipmask": length } };
  };
  const gateways = prefixes.map((prefix) => prefix.replace(/\/.*/, "/128"));
  return [
    rule("drop", "out", { ipv6: { "@protocol": "icmpv6", "@type": routerAdvertisement } }),
    rule("drop", "out", { ipv6: { "@protocol": "icmpv6", "@type": redirect } }),
    rule("drop", "out", { ipv6: { "@protocol": "udp", "@srcportstart": "547" } }),
    rule("drop", "out", { ipv6: { "@protocol": "udp", "@dstportstart": "546" } }),
    ...gateways.map((gateway) => rule("drop", "out", from(gateway))),
    ...["::/128", "fe80::/10", ...prefixes].map((prefix) => rule("accept", "out", from(prefix))),
  ];
}
