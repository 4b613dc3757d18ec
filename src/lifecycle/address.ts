import { createHash } from "node:crypto";
import { XMLBuilder } from "fast-xml-parser";
import { formatAddress, networkOf } from "../core/cidr.ts";
import { UserError } from "../core/errors.ts";
import { domainName, isManagedDomain, macAddress } from "../core/names.ts";
import { type NetworkXml, parseNetwork, type Reservation } from "../libvirt/libvirt-xml.ts";
import { namesIn } from "../libvirt/pool-volumes.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";

/** An address in DHCP's use: who has it, and until when. */
export interface Lease {
  mac: string;
  ip: string;
  /** As virsh prints it, and so in order as text. */
  expiry: string;
}

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "@", suppressEmptyNode: true });

/** Another stack's VM may choose the same address at the same time; libvirt gives it to one of them. */
const tries = 10;

/**
 * The address that a VM has in a network of ours, reserved for it there at the first call. What is reserved is kept in the
 * network itself, so that the DHCP server gives it to nobody else, and that two stacks never give out the same one. A VM that
 * runs keeps the address that it has. One after the other: libvirt sets up the network's whole firewall again each time, and a
 * queue of those would outlast the limit of the last one.
 *
 * @throws UserError when the network has no address left
 */
export function reserveAddress(virsh: Virsh, network: string, project: string): Promise<string> {
  const address = turn.then(() => reserve(virsh, network, project));
  turn = address.catch(() => undefined);
  return address;
}

/** Ends when the last one that was asked for has its address. */
let turn: Promise<unknown> = Promise.resolve();

async function reserve(virsh: Virsh, network: string, project: string): Promise<string> {
  for (let round = 1; ; round++) {
    const found = parseNetwork(await virsh.run("net-dumpxml", network));
    const reserved = found.reservations.find(({ mac }) => mac === macAddress(project));
    if (reserved) return reserved.ip;
    const leases = parseLeases(await virsh.run("net-dhcp-leases", network));
    const ip = chooseAddress(project, found, leases);
    try {
      await updateReservation(virsh, "add-last", network, { mac: macAddress(project), ip, name: domainName(project) });
      return ip;
    } catch (error) {
      if (!(error instanceof VirshError) || round === tries) throw error;
    }
  }
}

/** Gives a VM's address back, in whichever network of ours it has one. */
export async function releaseAddress(virsh: Virsh, project: string): Promise<void> {
  for (const network of namesIn(await virsh.run("net-list", "--all", "--name")))
    await releaseIn(virsh, network, project);
}

/** Many VMs may go at the same time, each by a process of its own, and the network with them: what fails is looked at again. */
async function releaseIn(virsh: Virsh, network: string, project: string): Promise<void> {
  for (let round = 1; ; round++) {
    const xml = await virsh.run("net-dumpxml", network).catch(() => undefined);
    if (xml === undefined) return;
    const { dnsDomain, reservations } = parseNetwork(xml);
    const own = reservations.find(({ mac, name }) => mac === macAddress(project) && name === domainName(project));
    if (!own || !isManagedDomain(dnsDomain)) return;
    try {
      return await updateReservation(virsh, "delete", network, own);
    } catch (error) {
      if (!(error instanceof VirshError) || round === tries) throw error;
    }
  }
}

/**
 * The address that the VM has already or, by its name, any that is free. Pure.
 *
 * @throws UserError when there is none
 */
export function chooseAddress(project: string, network: NetworkXml, leases: Lease[]): string {
  const reserved = network.reservations.map(({ ip }) => ip);
  const own = leases.filter(({ mac, ip }) => mac === macAddress(project) && !reserved.includes(ip));
  const newest = own.toSorted((a, b) => a.expiry.localeCompare(b.expiry)).at(-1);
  if (newest) return newest.ip;
  const range = networkOf(network.cidr);
  const taken = new Set([...reserved, ...leases.map(({ ip }) => ip), network.gateway]);
  const size = range ? range.last - range.first - 1 : 0;
  const start = createHash("sha256").update(`address ${project}`).digest().readUInt32BE() % Math.max(size, 1);
  for (let i = 0; range && i < size; i++) {
    const ip = formatAddress(range.first + 1 + ((start + i) % size));
    if (!taken.has(ip)) return ip;
  }
  throw new UserError(`There is no address left for ${project}.`, [
    {
      path: "host.network.cidr",
      rule: `must have an address for each VM: all of ${network.cidr ?? "none"} on ${network.name} are in use`,
      remedy: "write a shorter prefix, or wait until DHCP leases there have expired",
    },
  ]);
}

/** What `virsh net-dhcp-leases` prints, IPv4 only. */
export function parseLeases(output: string): Lease[] {
  const rows = output.matchAll(/^\s*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s+([0-9a-f:]{17})\s+ipv4\s+([\d.]+)\//gim);
  return [...rows].map(([, expiry = "", mac = "", ip = ""]) => ({ expiry, mac: mac.toLowerCase(), ip }));
}

async function updateReservation(virsh: Virsh, how: "add-last" | "delete", network: string, host: Reservation) {
  const { mac, ip, name } = host;
  const element: string = builder.build({ host: { "@mac": mac, "@name": name, "@ip": ip } });
  const active = namesIn(await virsh.run("net-list", "--name")).includes(network);
  await virsh.run("net-update", network, how, "ip-dhcp-host", element, "--config", ...(active ? ["--live"] : []));
}
