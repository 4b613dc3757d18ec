import { lstatSync, realpathSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import path from "node:path";
import { UserError } from "./errors.ts";

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

/** In a folder with it, each user may rename and remove only what is that user's own. */
const sticky = 0o1000;

const writableByGroup = 0o020;
const writableByAll = 0o002;

/** Each step of the way counts: who can rename a folder on it can put another one in its place. */
function refuseOthers(folder: string, trusted: number[]): void {
  for (let step = folder; ; step = path.dirname(step)) {
    const why = othersMayChange(step, trusted);
    if (why) throw foreign(step, why);
    if (step === path.dirname(step)) return;
  }
}

/** Why others may change what a path leads to, or put something else there; undefined: they may not, or it is not there yet. */
function othersMayChange(step: string, trusted: number[]): string | undefined {
  const found = lstatSync(step, { throwIfNoEntry: false });
  if (!found) return undefined;
  if (!trusted.includes(found.uid)) return `is user ${found.uid}'s`;
  if (!found.isDirectory() || (found.mode & sticky) !== 0) return undefined;
  if ((found.mode & writableByAll) !== 0) return "may be written to by all users";
  // Where each user has a group of their own, as on most systems, that is nobody else.
  if ((found.mode & writableByGroup) !== 0 && found.gid !== userInfo().gid && found.gid !== 0)
    return `may be written to by group ${found.gid}`;
  return undefined;
}

/** Of what is there of it: the rest is made by this user. */
function realPath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder === path.dirname(folder) ? folder : path.join(realPath(path.dirname(folder)), path.basename(folder));
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
