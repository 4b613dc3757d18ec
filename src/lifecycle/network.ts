import type { Log } from "../core/log.ts";
import { networkDomain } from "../core/names.ts";
import { bearsMark, isCopyXml } from "../libvirt/copies.ts";
import { parseDomain, parseNetwork } from "../libvirt/libvirt-xml.ts";
import { namesIn } from "../libvirt/pool-volumes.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { againIfGone } from "./gone.ts";
import { names } from "./replace.ts";

/** What the teardown of a stack's network must know. */
export interface NetworkTeardown {
  uri: string;
  name: string;
  /** The stack's name. */
  owner: string;
}

/**
 * Takes a stack's own network away, if it is there; somebody else's of that name is left alone. Guests on it go on without
 * a network until they restart. Can be cut off and done again.
 */
export async function removeNetwork(virsh: Virsh, name: string, owner: string): Promise<void> {
  if (!namesIn(await virsh.run("net-list", "--all", "--name")).includes(name)) return;
  const { dnsDomain } = parseNetwork(await virsh.run("net-dumpxml", name));
  if (dnsDomain !== networkDomain(owner)) return;
  const active = namesIn(await virsh.run("net-list", "--name")).includes(name);
  if (active) await virsh.run("net-destroy", name);
  await virsh.run("net-undefine", name);
}

/**
 * Takes a stack's own network away when the stack goes, unless somebody else's VMs are on it: a network can be shared by its
 * name, and would be gone from under them. A stack of that name takes it up again.
 *
 * @throws VirshError when a VM that is there does not tell which networks it is on
 */
export function tearDownNetwork(virsh: Virsh, teardown: NetworkTeardown, log: Log): Promise<void> {
  return againIfGone(() => tearDownOnce(virsh, teardown, log));
}

async function tearDownOnce(virsh: Virsh, { name, owner }: NetworkTeardown, log: Log): Promise<void> {
  const others = await othersOn(virsh, name, owner);
  if (others.length === 0) return removeNetwork(virsh, name, owner);
  const are = others.length === 1 ? "is" : "are";
  log(`${name}: kept, for ${others.join(", ")} ${are} on it`);
}

/** The VMs on a network that are not of a stack, by any of their interfaces. */
async function othersOn(virsh: Virsh, network: string, owner: string): Promise<string[]> {
  const others: string[] = [];
  for (const domain of await names(virsh)) {
    if (!isIn(network, await interfacesOf(virsh, domain))) continue;
    const found = parseDomain(await virsh.run("dumpxml", domain));
    if (!bearsMark(found.description ?? "", owner) || isCopyXml(found)) others.push(domain);
  }
  return others;
}

async function interfacesOf(virsh: Virsh, domain: string): Promise<string> {
  try {
    return await virsh.run("domiflist", domain);
  } catch (error) {
    // One that was taken away meanwhile is on no network; of one that is there that is not known.
    if ((await names(virsh)).includes(domain)) throw error;
    return "";
  }
}

/**
 * Whether `virsh domiflist` tells of an interface in a network; its columns are interface, type, source, model, MAC. A network's
 * name may have blanks.
 */
function isIn(network: string, interfaces: string): boolean {
  return interfaces.split("\n").some((line) => /^\s*\S+\s+network\s+(.+?)\s+\S+\s+\S+\s*$/.exec(line)?.[1] === network);
}
