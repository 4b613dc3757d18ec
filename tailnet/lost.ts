import type { Patience } from "./api.ts";
import { isInTailnet, type TailnetDevices, type VmIdentity } from "./devices.ts";

/** For the one question that a preview asks: a tailnet that does not answer holds no update up. */
export const briefly: Patience = { timeout: 5000, tries: 1, firstPause: 0, longestPause: 0 };

/**
 * Which of the VMs that had joined a tailnet are no longer in it, because somebody has removed their devices there. Such a VM
 * cannot go on as what it was; it joins again.
 *
 * @throws {UserError} when the tailnet's API does not answer, or refuses
 */
export async function lostVms<Vm extends VmIdentity>(devices: TailnetDevices, vms: readonly Vm[]): Promise<Vm[]> {
  if (vms.length === 0) return [];
  const all = await devices.list();
  return vms.filter((vm) => !isInTailnet(all, vm));
}
