import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { isGone, whyMayBeThere } from "../embedded-host/gone-folders.ts";
import { embeddedHostFor } from "../libvirt/embedded-layout.ts";
import type { Teardown } from "./teardown.ts";

/*
 * A checkout's state may come to another folder, by `cp -a` or `mv`. What it says of VMs on the embedded host of the folder that it
 * was made in is then not about the host of this one.
 */

/** What a teardown says of the checkout that it was made in. */
type Origin = Pick<Teardown, "project" | "checkout">;

/** By its name too: who may not look at the way to it is in it all the same. */
const isHere = (checkout: string, root: string) =>
  checkout === root || (existsSync(checkout) && realpathSync(checkout) === realpathSync(root));

/** Whether a VM's host was removed, disks and all, by `make clean GONE=<checkout>` after its checkout had been moved here. */
export function isOnRemovedHost({ checkout }: Origin, root: string, hostOf = embeddedHostFor): boolean {
  if (checkout === undefined || isHere(checkout, root)) return false;
  return isGone(hostOf(checkout).dir);
}

/** @throws UserError unless the checkout that a state was made in is this one, or certainly gone: else its VMs are its own */
export function refuseCopiedState({ project, checkout }: Origin, root: string): void {
  if (checkout === undefined || isHere(checkout, root)) return;
  const title = `The VM of ${project} is not removed`;
  if (existsSync(checkout)) throw new UserError(`${title}.`, [copiedFrom(checkout, root)]);
  const unknown = whyMayBeThere(checkout);
  if (unknown === undefined) return;
  const rule = "whether the checkout that this state was made in is gone is not known";
  throw new UserError(`${title}: ${rule}.`, [unknown]);
}

function copiedFrom(checkout: string, root: string): Issue {
  const state = path.join(root, ".local/state");
  return {
    path: state,
    rule: `must be this checkout's own state, but was copied from ${checkout}, whose VMs these are`,
    remedy: `begin with a state of this checkout's own: rm -r ${state}, then make up; to remove that VM, go to ${checkout}`,
  };
}
