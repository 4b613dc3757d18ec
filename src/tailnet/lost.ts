import type { Patience } from "./api.ts";
import type { TailnetDevices } from "./device.ts";
import { hasOtherTags, isInTailnet, type VmIdentity } from "./devices.ts";

/** For the one question that a preview asks: a tailnet that does not answer holds no update up. */
export const briefly: Patience = { timeout: 5000, tries: 1, firstPause: 0, longestPause: 0 };

/**
 * Which of the VMs that had joined a tailnet have to join it again: those that are no longer in it, because somebody has removed
 * their devices there, and those whose devices lack the tag, which comes with the key that a VM joins with.
 *
 * @throws {UserError} when the tailnet's API does not answer, or refuses
 */
export async function lostVms<Vm extends VmIdentity>(
  devices: TailnetDevices,
  vms: readonly Vm[],
): Promise<{ vm: Vm; lacks: "device" | "tag" }[]> {
  if (vms.length === 0) return [];
  const all = await devices.list();
  const lost = vms.filter((vm) => !isInTailnet(all, vm));
  return lost.map((vm) => ({ vm, lacks: hasOtherTags(all, vm) ? "tag" : "device" }));
}
