/** What this package offers to other people's Pulumi programs. */

export type { HostSettings, ImageSettings, NetworkSettings } from "../src/config/settings.ts";
export { UserError } from "../src/core/errors.ts";
export type { Readiness } from "../src/guest/ready.ts";
export { type Inventory, takeInventory } from "../src/libvirt/inventory.ts";
export type { PublishedImage } from "./base-image.ts";
export { ProjectVm } from "./project-vm.ts";
export type { ProjectVmArgs, ResolvedVmArgs } from "./project-vm-args.ts";
export type { Transform } from "./transform.ts";
export { VmHost } from "./vm-host.ts";
export type { VmHostArgs } from "./vm-host-args.ts";
