import { networkDomain } from "../config/names.ts";
import { parseNetwork } from "../host/libvirt-xml.ts";
import type { Virsh } from "../host/virsh.ts";

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
  const all = await virsh.run("net-list", "--all", "--name");
  if (!all.split("\n").some((line) => line.trim() === name)) return;
  const { dnsDomain } = parseNetwork(await virsh.run("net-dumpxml", name));
  if (dnsDomain !== networkDomain(owner)) return;
  const active = (await virsh.run("net-list", "--name")).split("\n").some((line) => line.trim() === name);
  if (active) await virsh.run("net-destroy", name);
  await virsh.run("net-undefine", name);
}
