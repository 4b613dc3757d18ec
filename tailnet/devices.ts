import type { Patience } from "./api.ts";
import type { HeadscaleAccess } from "./headscale.ts";
import { HeadscaleDevices } from "./headscale-devices.ts";
import type { TailscaleAccess } from "./tailscale.ts";
import { TailscaleDevices } from "./tailscale-devices.ts";

/** A device of a tailnet, whoever runs the tailnet. */
export interface TailnetDevice {
  /** By which it is removed; it stays the same for as long as the device is in the tailnet. */
  id: string;
  /** By which the tailnet knows it, without the domain: `project-web`, or `project-web-1` where that was taken. */
  name: string;
  /** What the machine calls itself. */
  hostname: string;
  tags: string[];
  /** `nodekey:…`; another one after each new login. */
  nodeKey: string;
  addresses: string[];
}

/** The devices of one tailnet. All calls throw a UserError with the reason, and never show a credential. */
export interface TailnetDevices {
  list(): Promise<TailnetDevice[]>;
  /** Takes a device out of the tailnet. One that is not there is no error. */
  remove(id: string): Promise<void>;
}

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
  /** The device's id, where it was recorded. It counts together with the tag: another server counts from 1 again. */
  id?: string;
  /** The device's node key, where it was recorded. */
  nodeKey?: string;
}

/** What was done, and what was left alone. */
export interface Removal {
  removed: TailnetDevice[];
  /** Devices that have the VM's name and are not ours: whoever they belong to, they are to be told of and not touched. */
  foreign: TailnetDevice[];
}

/**
 * Takes a VM's device out of its tailnet, so that its name is free again. None there is no error: it was never up, or
 * somebody has removed it by hand.
 *
 * The device that was recorded is the VM's. Without a record, or if the recorded one is gone, all with its name and our
 * tag are: a VM that had to log in anew is a new device, and the old one would keep the name.
 */
export async function removeVmDevice(devices: TailnetDevices, vm: VmIdentity): Promise<Removal> {
  const { own, foreign } = devicesOf(await devices.list(), vm);
  for (const device of own) await devices.remove(device.id);
  return { removed: own, foreign };
}

/** Which of a tailnet's devices are a VM's, and which only have its name. Asks nobody. */
export function devicesOf(
  all: readonly TailnetDevice[],
  vm: VmIdentity,
): { own: TailnetDevice[]; foreign: TailnetDevice[] } {
  const named = all.filter(({ name, hostname }) => name === vm.hostname || hostname === vm.hostname);
  const isTagged = ({ tags }: TailnetDevice) => tags.includes(vm.tag);
  const isRecorded = (device: TailnetDevice) =>
    (vm.nodeKey !== undefined && device.nodeKey === vm.nodeKey) || (device.id === vm.id && isTagged(device));
  const recorded = all.filter(isRecorded);
  const own = recorded.length > 0 ? recorded : named.filter(isTagged);
  return { own, foreign: named.filter((device) => !own.includes(device)) };
}
