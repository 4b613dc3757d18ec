import { XMLParser } from "fast-xml-parser";
import type { Firmware } from "../config/settings.ts";
import { networkOf } from "../core/cidr.ts";
import { isNodeId, isNodeKey, type NodeId, type NodeKey } from "../core/guest-values.ts";
import { isConsoleLog } from "../core/names.ts";

/** A disk of a domain: where its data is. A `volume` is named by pool and name, and its path is the pool's matter. */
export type DiskSource = { path: string } | { pool: string; volume: string };

export interface DomainXml {
  name: string;
  uuid: string;
  description?: string;
  /** libvirt's virtualization type: `kvm` or, emulated, `qemu`. */
  type: string;
  /** Bytes. */
  memory: number;
  cpus: number;
  firmware: Firmware;
  /** Name of the libvirt network of its first interface. */
  network?: string;
  /** The file that keeps what its serial console prints. */
  consoleLog?: string;
  marks: DomainMarks;
  disks: DiskSource[];
}

/** What this product wrote into a domain's metadata when it made it; empty for other people's domains. */
export interface DomainMarks {
  /** Digest of the definition that the domain was made from. */
  definition?: string;
  /** Chosen when it was made; by it the state tells a domain that was removed past it and is to be made again. */
  instance?: string;
  /** Digest of what its root disk was asked to be made from; another one wants a new root. */
  root?: string;
  /** Whether the project disk stays when the project goes. */
  keepData?: boolean;
  /** Whether it is to be started, or was shut down to be started again, and has not become ready since. */
  starting?: boolean;
  /** The device that it is in its tailnet, since it joined. */
  tailnet?: { id: NodeId; nodeKey: NodeKey };
  /** Of a project disk that was bigger than asked for when it was adopted: both sizes, in bytes. */
  adopted?: { size: number; asked: number };
}

export interface PoolXml {
  name: string;
  uuid: string;
  type: string;
  /** Empty for pools without a folder or device, such as rbd. */
  path: string;
  /** Bytes. */
  capacity: number;
  /** Bytes. */
  available: number;
}

export interface NetworkXml {
  name: string;
  uuid: string;
  dnsDomain?: string;
  bridge?: string;
  /** @example "10.77.0.0/24" */
  cidr?: string;
  /** The host's own IPv4 address in it. */
  gateway?: string;
  /** The host's IPv6 addresses in it, with their prefixes. @example ["fd00:77::1/64"] */
  ipv6: string[];
  /** Whether its bridge takes part in the spanning tree protocol. */
  stp: boolean;
  /** Addresses that its DHCP server keeps for one MAC address each. */
  reservations: Reservation[];
}

export interface Reservation {
  mac: string;
  ip: string;
  name: string;
}

export interface VolumeXml {
  name: string;
  path: string;
  /** Bytes. */
  capacity: number;
  /** Bytes. */
  allocation: number;
  format: string;
  backingPath?: string;
  backingFormat?: string;
  /** When the file was changed last, in seconds since the epoch. */
  modified?: number;
  /** The bytes in the file itself, whatever format it is said to have. */
  physical?: number;
  /** The file's rights. @example 0o600 */
  mode?: number;
}

/** An element as fast-xml-parser gives it: a text, or attributes (`@name`), a text (`#text`) and child elements. */
type Node = string | { [key: string]: Node | Node[] | undefined } | undefined;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseTagValue: false,
  parseAttributeValue: false,
  // A file's name may begin or end with a blank.
  trimValues: false,
  isArray: (name) => ["disk", "ip", "interface"].includes(name),
});

/** Reads what `virsh dumpxml` prints: only what the inventory is about. */
export function parseDomain(xml: string): DomainXml {
  const domain = root(xml, "domain");
  const description = text(domain, "description");
  const devices = child(domain, "devices");
  const consoleLog = text(child(child(devices, "serial"), "log"), "@file");
  return {
    name: text(domain, "name"),
    uuid: text(domain, "uuid"),
    ...(description === "" ? {} : { description }),
    type: text(domain, "@type"),
    memory: bytes(child(domain, "memory"), "KiB"),
    cpus: Number(text(domain, "vcpu")),
    firmware: firmwareOf(child(domain, "os")),
    ...ofFirst(all(devices, "interface")),
    ...(consoleLog === "" ? {} : { consoleLog }),
    marks: marksIn(child(domain, "metadata")),
    disks: all(devices, "disk").flatMap(diskSource),
  };
}

/**
 * The network of a domain. A guest can eject its interface, as it can any PCI device; then that counts which its definition has, and
 * which it has again from its next start on.
 *
 * @param views what the domain has now and, while it runs, what it is defined with
 */
export function nicOf(views: DomainXml[]): Pick<DomainXml, "network"> {
  const network = views.find((view) => view.network !== undefined)?.network;
  return network === undefined ? {} : { network };
}

/** Reads what `virsh pool-dumpxml` prints. */
export function parsePool(xml: string): PoolXml {
  const pool = root(xml, "pool");
  return {
    name: text(pool, "name"),
    uuid: text(pool, "uuid"),
    type: text(pool, "@type"),
    path: text(child(pool, "target"), "path"),
    capacity: bytes(child(pool, "capacity")),
    available: bytes(child(pool, "available")),
  };
}

/** Reads what `virsh net-dumpxml` prints. */
export function parseNetwork(xml: string): NetworkXml {
  const network = root(xml, "network");
  const dnsDomain = text(child(network, "domain"), "@name");
  const bridge = text(child(network, "bridge"), "@name");
  const ips = all(network, "ip");
  const cidr = ips.map(cidrOf).find(Boolean);
  const gateway = text(
    ips.find((ip) => cidrOf(ip) !== undefined),
    "@address",
  );
  const hosts = ips.flatMap((ip) => all(child(ip, "dhcp"), "host"));
  return {
    name: text(network, "name"),
    uuid: text(network, "uuid"),
    ...(dnsDomain === "" ? {} : { dnsDomain }),
    ...(bridge === "" ? {} : { bridge }),
    ...(cidr === undefined ? {} : { cidr }),
    ...(gateway === "" ? {} : { gateway }),
    ipv6: ips
      .filter((ip) => text(ip, "@family") === "ipv6")
      .map((ip) => `${text(ip, "@address")}/${text(ip, "@prefix")}`),
    stp: text(child(network, "bridge"), "@stp") === "on",
    reservations: hosts.map((host) => ({
      mac: text(host, "@mac").toLowerCase(),
      ip: text(host, "@ip"),
      name: text(host, "@name"),
    })),
  };
}

/**
 * Reads what `virsh vol-dumpxml` prints. What a guest printed on its console is no image, whatever libvirt takes it for: a guest
 * may print what an image begins with.
 */
export function parseVolume(xml: string): VolumeXml {
  const volume = root(xml, "volume");
  const isLog = isConsoleLog(text(volume, "name"));
  const backing = isLog ? undefined : child(volume, "backingStore");
  const backingPath = text(backing, "path");
  const backingFormat = text(child(backing, "format"), "@type");
  const target = child(volume, "target");
  const modified = Number(text(child(target, "timestamps"), "mtime"));
  const physical = child(volume, "physical");
  const mode = text(child(target, "permissions"), "mode");
  return {
    name: text(volume, "name"),
    path: text(target, "path"),
    capacity: bytes(child(volume, isLog ? "physical" : "capacity")),
    allocation: bytes(child(volume, "allocation")),
    format: isLog ? "raw" : text(child(target, "format"), "@type"),
    ...(backingPath === "" ? {} : { backingPath }),
    ...(backingPath === "" || backingFormat === "" ? {} : { backingFormat }),
    ...(modified ? { modified } : {}),
    ...(physical ? { physical: bytes(physical) } : {}),
    ...(mode ? { mode: Number.parseInt(mode, 8) } : {}),
  };
}

/** The namespaces of this product's elements in a domain's metadata. */
export const definitionNamespace = "urn:project-vms:definition";
export const dataNamespace = "urn:project-vms:data";
export const startNamespace = "urn:project-vms:start";
export const tailnetNamespace = "urn:project-vms:tailnet";
export const adoptedNamespace = "urn:project-vms:adopted";

/** How the marks say yes and no. */
export const yesOrNo = (value: boolean) => (value ? "yes" : "no");

/**
 * What stands in a domain can be edited by hand, and older versions wrote down what a guest had said as it was: a mark that is
 * none counts as not there.
 */
function marksIn(metadata: Node): DomainMarks {
  const namespaces = [definitionNamespace, dataNamespace, startNamespace, tailnetNamespace, adoptedNamespace];
  const [made, data, start, tailnet, adopted] = namespaces.map((namespace) => elementOf(metadata, namespace));
  const [definition, instance, rootDisk] = [text(made, "@digest"), text(made, "@instance"), text(made, "@root")];
  const keep = text(data, "@keep");
  const [id, nodeKey] = [text(tailnet, "@id"), text(tailnet, "@node")];
  const [size, asked] = [text(adopted, "@size"), text(adopted, "@asked")];
  return {
    ...(isMarkWord(definition) ? { definition } : {}),
    ...(isMarkWord(instance) ? { instance } : {}),
    ...(isMarkWord(rootDisk) ? { root: rootDisk } : {}),
    ...(keep === "" ? {} : { keepData: keep !== "no" }),
    ...(text(start, "@pending") === "yes" ? { starting: true } : {}),
    ...(isNodeId(id) && isNodeKey(nodeKey) ? { tailnet: { id, nodeKey } } : {}),
    ...(isByteCount(size) && isByteCount(asked) ? { adopted: { size: Number(size), asked: Number(asked) } } : {}),
  };
}

/** Whether a text can be one of the digests and numbers that this product marks a domain with. */
export const isMarkWord = (text: string) => /^[a-z0-9]{1,64}$/.test(text);

const isByteCount = (text: string) => /^[1-9][0-9]{0,15}$/.test(text);

/** The child element of a namespace, whatever its prefix is: libvirt chooses it. */
function elementOf(node: Node, namespace: string): Node {
  if (node === undefined || typeof node === "string") return undefined;
  const isOf = (element: Node | Node[]) =>
    typeof element === "object" &&
    !Array.isArray(element) &&
    Object.entries(element).some(([key, value]) => key.startsWith("@xmlns") && value === namespace);
  return Object.values(node).find(isOf) as Node;
}

/** Once libvirt has chosen the firmware, it may tell the file only. */
function firmwareOf(os: Node): Firmware {
  return text(os, "@firmware") === "efi" || text(child(os, "loader"), "@type") === "pflash" ? "uefi" : "bios";
}

function ofFirst([nic]: Node[]): { network?: string } {
  const network = text(child(nic, "source"), "@network");
  return network === "" ? {} : { network };
}

function diskSource(disk: Node): DiskSource[] {
  const source = child(disk, "source");
  const [pool, volume] = [text(source, "@pool"), text(source, "@volume")];
  if (pool !== "" && volume !== "") return [{ pool, volume }];
  const path = text(source, "@file") || text(source, "@dev") || text(source, "@dir");
  return path === "" ? [] : [{ path }]; // an empty drive, or a disk on the network
}

function cidrOf(ip: Node): string | undefined {
  const network = networkOf(`${text(ip, "@address")}/${prefixIn(ip)}`); // undefined for IPv6
  return network && `${network.address}/${network.prefix}`;
}

function prefixIn(ip: Node): string {
  const netmask = text(ip, "@netmask");
  return text(ip, "@prefix") || (netmask && String(prefixOf(netmask)));
}

function prefixOf(netmask: string): number {
  const bits = netmask.split(".").map((part) => Number(part).toString(2).padStart(8, "0"));
  return bits.join("").replaceAll("0", "").length;
}

/** libvirt prints the sizes of volumes in bytes and those of memory in KiB, but the unit is part of the format. */
function bytes(node: Node, unitless = "bytes"): number {
  const unit = text(node, "@unit") || unitless;
  const factor = { bytes: 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }[unit];
  if (factor === undefined) throw new Error(`libvirt gave a size in an unknown unit: ${unit}`);
  return Number(text(node, "#text") || (typeof node === "string" ? node : "0")) * factor;
}

function root(xml: string, name: string): Node {
  const node: Node = parser.parse(xml)[name];
  if (node === undefined) throw new Error(`not the XML of a libvirt ${name}: ${xml.slice(0, 80)}`);
  return node;
}

function child(node: Node, name: string): Node {
  if (node === undefined || typeof node === "string") return undefined;
  const found = node[name];
  return Array.isArray(found) ? found[0] : found;
}

function all(node: Node, name: string): Node[] {
  if (node === undefined || typeof node === "string") return [];
  const found = node[name];
  return Array.isArray(found) ? found : found === undefined ? [] : [found];
}

/** The text of an element or attribute, or nothing. */
function text(node: Node, name: string): string {
  const found = child(node, name);
  if (typeof found === "string") return found;
  return found === undefined || name === "#text" ? "" : text(found, "#text");
}
