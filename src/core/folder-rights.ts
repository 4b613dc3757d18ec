/** What tells who can change a folder, or a symbolic link on the way to one. */
export interface FolderRights {
  isFolder: boolean;
  mode: number;
  uid: number;
  gid: number;
}

/** Whose folders a user can rely on. */
export interface Trusted {
  users: number[];
  /** The user's own group. */
  group: number;
}

/** In a folder with it, each user may rename and remove only what is that user's own. */
const sticky = 0o1000;

const writableByGroup = 0o020;
const writableByAll = 0o002;

/**
 * Why others may change what a path leads to, or put something else there; undefined: they may not. Each step of a way counts: who
 * can rename a folder on it can put another one in its place.
 */
export function othersMayChange({ isFolder, mode, uid, gid }: FolderRights, trusted: Trusted): string | undefined {
  if (!trusted.users.includes(uid)) return `is user ${uid}'s`;
  if (!isFolder || (mode & sticky) !== 0) return undefined;
  if ((mode & writableByAll) !== 0) return "may be written to by all users";
  // Where each user has a group of their own, as on most systems, that is nobody else.
  if ((mode & writableByGroup) !== 0 && gid !== trusted.group && gid !== 0) return `may be written to by group ${gid}`;
  return undefined;
}
