import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { UserError } from "../config/errors.ts";
import { embeddedHostFor } from "../host/embedded-layout.ts";
import type { Teardown } from "./teardown.ts";

/*
 * A checkout's state may come to another folder, by `cp -a` or `mv`. What it says of VMs on the embedded host of the folder that it
 * was made in is then not about the host of this one.
 */

/** What a teardown says of the checkout that it was made in. */
type Origin = Pick<Teardown, "project" | "checkout">;

const isHere = (checkout: string, root: string) =>
  existsSync(checkout) && realpathSync(checkout) === realpathSync(root);

/** Whether a VM's host was removed, disks and all, by `make clean GONE=<checkout>` after its checkout had been moved here. */
export function isOnRemovedHost({ checkout }: Origin, root: string, hostOf = embeddedHostFor): boolean {
  if (checkout === undefined || isHere(checkout, root)) return false;
  const { dir } = hostOf(checkout);
  // Where no embedded host is to be seen at all, nothing is known.
  return existsSync(path.dirname(dir)) && !existsSync(dir);
}

/** @throws UserError when the checkout that a state was made in is still there: its VMs are its own */
export function refuseCopiedState({ project, checkout }: Origin, root: string): void {
  if (checkout === undefined || isHere(checkout, root) || !existsSync(checkout)) return;
  const state = path.join(root, ".local/state");
  throw new UserError(`The VM of ${project} is not removed.`, [
    {
      path: state,
      rule: `must be this checkout's own state, but was copied from ${checkout}, whose VMs these are`,
      remedy: `begin with a state of this checkout's own: rm -r ${state}, then make up; to remove that VM, go to ${checkout}`,
    },
  ]);
}
