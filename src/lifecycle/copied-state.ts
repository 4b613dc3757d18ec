import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { whyAway } from "../embedded-host/local-mounts.ts";
import { isGone } from "../embedded-host/lost-hosts.ts";
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
  const { dir } = hostOf(checkout);
  // Where no embedded host is to be seen at all, nothing is known.
  return existsSync(path.dirname(dir)) && isGone(dir);
}

/** @throws UserError unless the checkout that a state was made in is this one, or certainly gone: else its VMs are its own */
export function refuseCopiedState({ project, checkout }: Origin, root: string): void {
  if (checkout === undefined || isHere(checkout, root) || isGone(checkout)) return;
  const title = `The VM of ${project} is not removed`;
  if (existsSync(checkout)) throw new UserError(`${title}.`, [copiedFrom(checkout, root)]);
  const unknown = `${title}: whether the checkout that this state was made in is gone is not known.`;
  throw new UserError(unknown, [whyAway(checkout) ?? unseen(checkout)]);
}

function copiedFrom(checkout: string, root: string): Issue {
  const state = path.join(root, ".local/state");
  return {
    path: state,
    rule: `must be this checkout's own state, but was copied from ${checkout}, whose VMs these are`,
    remedy: `begin with a state of this checkout's own: rm -r ${state}, then make up; to remove that VM, go to ${checkout}`,
  };
}

const unseen = (checkout: string): Issue => ({
  path: checkout,
  rule: "must let itself be looked at, for its VMs are its own while it is there",
  remedy: `mend what keeps it from being seen, then try again: stat ${shellWord(checkout)}`,
});
