import type * as libvirt from "@pulumi/libvirt";
import type * as pulumi from "@pulumi/pulumi";
import type { Inventory } from "../src/libvirt/inventory.ts";
import { stylesheet } from "./stylesheet.ts";
import { again } from "./volume-xslt.ts";

/** What a pool is made from, and how. */
interface DirPool {
  args: libvirt.PoolArgs;
  opts: pulumi.CustomResourceOptions;
}

/**
 * A storage pool over a folder, which stays when its stack goes. One that the host has is adopted; one that it has no more is defined
 * again, also where the state says that it is there: the engine takes its word, so another stylesheet, which changes nothing and is
 * ignored by the next update, has it replaced. Nothing is removed for that.
 */
export function dirPool(
  name: string,
  path: string,
  { pools }: Pick<Inventory, "pools">,
  provider: libvirt.Provider,
): DirPool {
  const found = pools.find((pool) => pool.name === name);
  const args = { name, type: "dir", target: { path } };
  const opts = { provider, retainOnDelete: true };
  return found
    ? { args, opts: { ...opts, import: found.uuid, ignoreChanges: ["xml"] } }
    : { args: { ...args, xml: { xslt: again(stylesheet([])) } }, opts: { ...opts, deleteBeforeReplace: false } };
}
