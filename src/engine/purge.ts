import type { StorageHost } from "../project-disks/project-disk.ts";
import { type PurgeOptions, purgeDisk } from "../project-disks/purge.ts";
import { filesThatClaim } from "./projects.ts";
import { inTurn } from "./turn.ts";

/**
 * Removes a kept disk for good, if no stack of the checkout has a project for it. Nobody here may take the disk up meanwhile,
 * also while it is asked whether it shall go.
 *
 * @returns whether it was removed; `false` when it was not confirmed
 * @throws UserError as {@link purgeDisk} does
 */
export function purgeUnclaimed(
  stack: { root: string; name: string },
  host: StorageHost,
  project: string,
  options: Omit<PurgeOptions, "claimedIn">,
  log: (line: string) => void,
): Promise<boolean> {
  const claimedIn = () => filesThatClaim(stack.root, project, host);
  return inTurn(stack, log, () => purgeDisk(host, project, { ...options, claimedIn }, log));
}
