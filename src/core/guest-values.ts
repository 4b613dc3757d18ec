import { BlockList, isIP } from "node:net";
import { hostName } from "./names.ts";
import { endOf, printable, shortened } from "./printable.ts";

/**
 * What a guest says becomes a value here and nowhere else: each kind has one check, and a type that only the check gives. What
 * writes a file, an XML or a request takes those types, so that nothing unchecked can reach it. The agent's answers as such
 * are in answers.ts; what was noted down of them earlier comes back through stored.ts.
 */
declare const checked: unique symbol;
type Checked<Base, Kind extends string> = Base & { readonly [checked]: Kind };

/** An IP address that a guest can be reached at: no zone, not loopback, link-local, multicast, or another's in disguise. */
export type GuestAddress = Checked<string, "GuestAddress">;
/** A public SSH host key: type and base64, nothing else. */
export type HostKey = Checked<string, "HostKey">;
/** A VM's name in its tailnet, with the domain. */
export type TailnetName = Checked<string, "TailnetName">;
/** An address out of the ranges that tailnets have, and not one that no device has for its own. */
export type TailnetAddress = Checked<string, "TailnetAddress">;
/** By which a tailnet knows a device; it stays the same. */
export type NodeId = Checked<string, "NodeId">;
/** A device's public key; another one after each new login. */
export type NodeKey = Checked<string, "NodeKey">;
/** A text of bounded length in which nothing acts. */
export type GuestText = Checked<string, "GuestText">;

/** The longest text of an IP address, an IPv6 one that ends with an IPv4 one. */
const longestAddress = 45;

/** Whether a value is an IP address, of whatever kind, and nothing beside: no zone, which would be a word of the client's. */
export function isAddress(value: unknown): value is string {
  return typeof value === "string" && value.length <= longestAddress && !value.includes("%") && isIP(value) !== 0;
}

/** @example isGuestAddress("10.77.0.5") */
export const isGuestAddress = (value: unknown): value is GuestAddress => isAddress(value) && !contains(unusable, value);

/** @example isTailnetAddress("100.64.0.7") */
export const isTailnetAddress = (value: unknown): value is TailnetAddress =>
  isAddress(value) && contains(tailnetRanges, value) && !contains(noDevices, value);

/** Ranges of addresses, of each family apart: Node counts every IPv4 address as one of `::ffff:0:0/96` too. */
export interface Ranges {
  ipv4: BlockList;
  ipv6: BlockList;
}

/** @example subnets("10.77.0.0/24", "fd00::/64") */
export function subnets(...ranges: string[]): Ranges {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const range of ranges) {
    const [address = "", prefix] = range.split("/");
    const family = familyOf(address);
    lists[family].addSubnet(address, Number(prefix), family);
  }
  return lists;
}

export const familyOf = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");
export const contains = (ranges: Ranges, address: string) =>
  ranges[familyOf(address)].check(address, familyOf(address));

/** Where no guest is reached: what means this machine, a link, or everybody; IPv4 in IPv6 can be any of them. */
const unusable = subnets(
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  ...["::/96", "::ffff:0:0/96", "64:ff9b::/96", "fe80::/10", "ff00::/8"],
);

/** https://tailscale.com/kb/1015/100.x-addresses; headscale supports no others. */
const tailnetRanges = subnets("100.64.0.0/10", "fd7a:115c:a1e0::/48");

/** What neither Tailscale nor headscale gives to a device: Quad100, and ChromeOS's. https://tailscale.com/kb/1610/reserved-ip-addresses */
const noDevices = subnets("100.100.100.100/32", "100.115.92.0/23", "fd7a:115c:a1e0::53/128");

/** What each type of host key holds after its name, in bytes at least and at most. RFC 4253, 5656, 8709. */
const keyFields: Record<string, [least: number, most: number][]> = {
  "ssh-ed25519": [[32, 32]],
  "ssh-rsa": [
    [1, 16],
    [128, 2049],
  ],
  "ecdsa-sha2-nistp256": [
    [8, 8],
    [65, 65],
  ],
  "ecdsa-sha2-nistp384": [
    [8, 8],
    [97, 97],
  ],
  "ecdsa-sha2-nistp521": [
    [8, 8],
    [133, 133],
  ],
};

/** Whether a value is a host key of a type that is known here, in the one form that SSH writes: no options, no comment. */
export function isHostKey(value: unknown): value is HostKey {
  if (typeof value !== "string" || value.length > 4096) return false;
  const [type = "", base64 = "", ...rest] = value.split(" ");
  if (rest.length > 0 || !Object.hasOwn(keyFields, type)) return false;
  const blob = Buffer.from(base64, "base64");
  if (blob.toString("base64") !== base64) return false;
  const [name, ...fields] = fieldsOf(blob) ?? [];
  if (name?.toString("latin1") !== type || !holds(fields, keyFields[type] ?? [])) return false;
  return !type.startsWith("ecdsa-") || fields[0]?.toString("latin1") === type.replace("ecdsa-sha2-", "");
}

const holds = (fields: Buffer[], sizes: [number, number][]) =>
  fields.length === sizes.length &&
  sizes.every(([least, most], i) => (fields[i]?.length ?? 0) >= least && (fields[i]?.length ?? 0) <= most);

/** The strings that a key's blob is made of, each behind its length; undefined where they do not fill it exactly. */
function fieldsOf(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < blob.length) {
    if (at + 4 > blob.length) return undefined;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) return undefined;
    fields.push(blob.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

/** A type of key that SSH may come to have, as OpenSSH spells them. */
export const isKeyType = (word: string) => /^[a-z0-9][a-z0-9@.-]{0,63}$/.test(word);
export const isKnownKeyType = (word: string) => Object.hasOwn(keyFields, word);

/** What a tailnet appends to a name that is taken: Tailscale a number, headscale eight letters and digits. */
const suffix = "(-[0-9]{1,5}|-[a-z0-9]{8})?";
const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

/** Whether a tailnet may have given a name, without the domain, to the machine of a host name. Pure. */
export const isNameFor = (name: string, host: string) => new RegExp(`^${literal(host)}${suffix}$`).test(name);

/**
 * Whether a value can be the name of a project's VM in a tailnet.
 *
 * @param domain the tailnet's, where it is known
 * @example isTailnetName("project-web.tail1234.ts.net", "web", "tail1234.ts.net")
 */
export function isTailnetName(value: unknown, project: string, domain?: string): value is TailnetName {
  if (typeof value !== "string" || value.length > 253) return false;
  if (!new RegExp(`^${label}(\\.${label})*$`).test(value)) return false;
  const [first = "", ...rest] = value.split(".");
  return isNameFor(first, hostName(project)) && (domain === undefined || rest.join(".") === domain);
}

const literal = (text: string) => text.replaceAll(/[^A-Za-z0-9-]/g, "\\$&");

export const isNodeId = (value: unknown): value is NodeId =>
  typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(value);

export const isNodeKey = (value: unknown): value is NodeKey =>
  typeof value === "string" && /^nodekey:[0-9a-f]{64}$/.test(value);

/** How much of a guest's words a message has room for. */
const longestText = 4000;

/** What a guest says of what went wrong, for people: its beginning, in which nothing acts. */
export const guestText = (text: string, most = longestText) =>
  shortened(printable(shortened(text.trim(), most)), most) as GuestText;

/** The end of a guest's log, for people. */
export const guestLog = (text: string, most = longestText) =>
  endOf(printable(endOf(text.trim(), most)), most) as GuestText;
