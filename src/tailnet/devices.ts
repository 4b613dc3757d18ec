import { isNameFor, type NodeId, type NodeKey } from "../core/guest-values.ts";
import type { Patience } from "./api.ts";
import type { TailnetDevice, TailnetDevices } from "./device.ts";
import type { HeadscaleAccess } from "./headscale.ts";
import { HeadscaleDevices } from "./headscale-devices.ts";
import type { TailscaleAccess } from "./tailscale.ts";
import { TailscaleDevices } from "./tailscale-devices.ts";

/**
 * The devices of a tailnet of Tailscale's or of a headscale server.
 *
 * @param patience how long to wait and how often to try
 * @example
 * const devices = tailnetDevices({ kind: "tailscale", credentials: { apiKey } });
 * await removeVmDevice(devices, { hostname: "project-web", tag: "tag:project-vm" });
 */
export function tailnetDevices(access: TailscaleAccess | HeadscaleAccess, patience?: Patience): TailnetDevices {
  switch (access.kind) {
    case "tailscale":
      return new TailscaleDevices(access, patience);
    case "headscale":
      return new HeadscaleDevices(access, patience);
    default:
      return access satisfies never;
  }
}

/** Which device a VM's is. */
export interface VmIdentity {
  /** The VM's host name: `project-<name>`. */
  hostname: string;
  /** The tag that all our VMs have in this tailnet: `tag:project-vm`. */
  tag: string;
  /** The device's id, where it was recorded. */
  id?: NodeId;
  /** The device's node key, where it was recorded. */
  nodeKey?: NodeKey;
}

/** What was done, and what was left alone. */
export interface Removal {
  removed: TailnetDevice[];
  /** Devices that have the VM's name, or are recorded as its, and stay: they are to be told of and not touched. */
  foreign: TailnetDevice[];
}

/**
 * Takes a VM's device out of its tailnet, so that its name is free again. None there is no error: it was never up, or
 * somebody has removed it by hand. What goes is told by {@link devicesOf}.
 */
export async function removeVmDevice(devices: TailnetDevices, vm: VmIdentity): Promise<Removal> {
  const { own, foreign } = devicesOf(await devices.list(), vm);
  for (const device of own) await devices.remove(device.id);
  return { removed: own, foreign };
}

/**
 * Which of a tailnet's devices are a VM's, and which only have its name or are recorded as its. Asks nobody.
 *
 * A VM's device bears our tag, calls itself by the VM's host name, and has that name from the tailnet, or that name with what a
 * tailnet appends to one that is taken. All three: a guest can call itself as another VM does, which makes its own device
 * match, never the other's; the tag it has by its key; `project-web-1` is also the name of the VM of `web-1`, which calls itself so.
 *
 * The record is what the guest once said that it is, so it only picks among those. Without one, or if the recorded one is gone,
 * the only one of them is the VM's; of several, any may be the VM's of that name of another stack, or of a guest that calls itself
 * so. A device that was renamed in the tailnet is not known for sure any more. What is not known for sure stays, and is told of.
 */
export function devicesOf(
  all: readonly TailnetDevice[],
  vm: VmIdentity,
): { own: TailnetDevice[]; foreign: TailnetDevice[] } {
  const isNamed = ({ name, hostname }: TailnetDevice) => name === vm.hostname || hostname === vm.hostname;
  // An untagged one that is recorded is nobody's we know: another server counts its devices from 1 again.
  const isOurRecord = (device: TailnetDevice) => isRecorded(device, vm) && isTagged(device, vm);
  const ours = all.filter((device) => isTagged(device, vm) && isCalled(device, vm));
  const recorded = ours.filter((device) => isRecorded(device, vm));
  const certain = recorded.length > 0 ? recorded : ours;
  const own = certain.length === 1 ? certain : [];
  return {
    own,
    foreign: all.filter((device) => (isNamed(device) || isOurRecord(device)) && !own.includes(device)),
  };
}

/**
 * Whether a VM's device is in its tailnet, as far as anybody can know: one that was renamed there is. Where its device is recorded,
 * no other counts: a guest can call itself as another VM does. Nothing is removed by this: a guest that has lied about which one it
 * is has only itself not looked after.
 */
export function isInTailnet(all: readonly TailnetDevice[], vm: VmIdentity): boolean {
  if (vm.id === undefined && vm.nodeKey === undefined) return devicesOf(all, vm).own.length > 0;
  return all.some((device) => isTagged(device, vm) && isRecorded(device, vm));
}

/** Whether a VM's device is there without our tag. Only said: what has not our tag is not known to be ours. */
export function hasOtherTags(all: readonly TailnetDevice[], vm: VmIdentity): boolean {
  return all.some((device) => isRecorded(device, vm) && device.hostname === vm.hostname && !isTagged(device, vm));
}

const isTagged = ({ tags }: TailnetDevice, { tag }: VmIdentity) => tags.includes(tag);

const isCalled = ({ name, hostname }: TailnetDevice, vm: VmIdentity) =>
  hostname === vm.hostname && isNameFor(name, vm.hostname);

const isRecorded = ({ id, nodeKey }: TailnetDevice, vm: VmIdentity) =>
  (vm.id !== undefined && id === vm.id) || (vm.nodeKey !== undefined && nodeKey === vm.nodeKey);
