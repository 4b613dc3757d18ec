import { isManagedDomain } from "../core/names.ts";
import type { NetworkSettings } from "./settings.ts";

/**
 * Whether VMs on a network have network filters: on one that the stack makes, or that another stack made. A network or a bridge
 * of the user's own is left alone.
 */
export function isFiltered(network: NetworkSettings, networks: { name: string; dnsDomain?: string }[]): boolean {
  if (network.kind === "managed") return true;
  return isManagedDomain(networks.find(({ name }) => name === network.name)?.dnsDomain);
}
