import { lstatSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import path from "node:path";
import { UserError } from "./errors.ts";
import { othersMayChange } from "./folder-rights.ts";
import { realPath } from "./real-path.ts";

/**
 * What is kept for all checkouts of a user: the engine, base images, seeds. It may be deleted at any time, at the cost of a new
 * build. What is in it is run, as this user, and booted, so it is used only where no other user can change it; root can, and who
 * has become root by sudo, in a home of their own.
 *
 * @throws UserError when another user can
 */
export function ownCache(environment: NodeJS.ProcessEnv = process.env): string {
  const folder = path.join(environment.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "project-vms");
  const trusted = [userInfo().uid, 0, Number(environment.SUDO_UID ?? 0)];
  for (const one of new Set([path.resolve(folder), realPath(folder)])) refuseOthers(one, trusted);
  return folder;
}

/** What is not there yet is made by this user. */
function refuseOthers(folder: string, users: number[]): void {
  for (let step = folder; ; step = path.dirname(step)) {
    const found = lstatSync(step, { throwIfNoEntry: false });
    const trusted = { users, group: userInfo().gid };
    const why = found && othersMayChange({ ...found, isFolder: found.isDirectory() }, trusted);
    if (why) throw foreign(step, why);
    if (step === path.dirname(step)) return;
  }
}

function foreign(step: string, why: string): UserError {
  return new UserError("The cache is not used.", [
    {
      path: step,
      rule: `must be a folder that no other user can change, but ${why}: programs in it would run as you`,
      remedy: "set XDG_CACHE_HOME to a folder of your own, or unset it",
    },
  ]);
}
