import type * as command from "@pulumi/command";
import type * as libvirt from "@pulumi/libvirt";
import type { HostSettings, ImageSettings, TailnetSettings } from "../src/config/settings.ts";
import type { Inventory } from "../src/libvirt/inventory.ts";
import type { ChildFactory, Transform } from "./transform.ts";

/** What a {@link VmHost} is made from. */
export interface VmHostArgs {
  /**
   * Where and how VMs are kept: libvirt URI, storageDir, network, virtualization. A changed `network` restarts the
   * VMs on it; a changed `storageDir` is another place, in which no VM exists yet: nothing is moved.
   */
  settings: HostSettings;
  /**
   * Who owns what is made on the host, so that two stacks never take each other's: the stack's name.
   * @default the stack's name
   */
  owner?: string;
  /**
   * The base image of new VMs. A changed image makes new VMs new; existing VMs keep the image that they were made from.
   * @default { kind: "build" }
   */
  image?: ImageSettings;
  /**
   * The tailnet that VMs join, under `project-<name>` and with Tailscale SSH, and leave when they are removed. VMs join or
   * leave when this comes or goes, without a restart.
   * @default undefined, no tailnet
   */
  tailnet?: TailnetArgs;
  /** What is on the host already, from `await takeInventory(settings)`: what is ours there is adopted, not made twice. */
  inventory: Inventory;
  /** Changes to the children just before they are made. */
  transform?: {
    basePool?: Transform<libvirt.PoolArgs>;
    baseImage?: Transform<command.local.CommandArgs>;
    network?: Transform<libvirt.NetworkArgs>;
    networkTeardown?: Transform<command.local.CommandArgs>;
  };
}

/** A tailnet, with where to find what it takes to join it and to leave it. */
export interface TailnetArgs extends TailnetSettings {
  /**
   * The stack whose config has credentials for the API (`tailscale:apiKey` and the like); what is not in it comes from the usual
   * environment variables. The credentials themselves are no argument: the engine's logs would show them.
   * @default undefined, the environment alone
   */
  apiStack?: string | undefined;
}

/** Makes the children of a host. */
export type HostChildren = ChildFactory<NonNullable<VmHostArgs["transform"]>>;
