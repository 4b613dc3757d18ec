import { lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import type { Issue } from "../core/errors.ts";
import { textOf } from "../core/proc.ts";
import { shellWord } from "../core/shell-word.ts";
import { parseMounts } from "./embedded-process.ts";
import { whyAway } from "./local-mounts.ts";

/** Where disks are mounted that come and go, which no list of this machine's names. */
const removable = ["/media", "/run/media", "/mnt"];

const isThere = (folder: string) => statSync(folder, { throwIfNoEntry: false }) !== undefined;

/**
 * Whether a folder of this machine is certainly not there: the one above it is, and lets itself be read, and it is on no disk that may
 * just be away. One that cannot be looked at may be there.
 */
export function isGone(folder: string, mountinfo?: string): boolean {
  try {
    return !isThere(folder) && whyMayBeThere(folder, mountinfo) === undefined;
  } catch {
    return false;
  }
}

/** Why a folder that is not to be seen may be there all the same, and what can be done about it; undefined: it is there, or gone. */
export function whyMayBeThere(folder: string, mountinfo = textOf("/proc/self/mountinfo")): Issue | undefined {
  if (!path.isAbsolute(folder)) return unseen(folder);
  const away = whyAway(folder);
  if (away) return away;
  const above = path.dirname(folder);
  try {
    if (isThere(folder)) return undefined;
    // A link stays where what it leads to is away.
    if (lstatSync(folder, { throwIfNoEntry: false })) return unseen(folder);
    const unsure = whyUnsure(folder, above, mountinfo);
    if (unsure) return unsure;
    readdirSync(above);
    return whyUnsure(folder, realpathSync(above), mountinfo);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    return ["ENOENT", "ENOTDIR"].includes(code) ? withoutParent(folder, above) : unseen(folder);
  }
}

function whyUnsure(folder: string, above: string, mountinfo: string): Issue | undefined {
  const nearest = nearestMount(above, mountinfo);
  const place = removable.find((one) => `${above}/`.startsWith(`${one}/`));
  // What is mounted below it is there, and says what it has.
  if (place !== undefined && !nearest?.point.startsWith(`${place}/`))
    return mayBeAway(folder, `below ${place}, where disks are mounted that come and go`);
  return nearest?.type === "autofs" ? mayBeAway(folder, "on what autofs mounts when it can") : undefined;
}

/** The mount that a folder is on. Of two at one place, the later one hides the other. */
function nearestMount(folder: string, mountinfo: string) {
  const over = parseMounts(mountinfo).filter(({ point }) =>
    `${folder}/`.startsWith(point === "/" ? point : `${point}/`),
  );
  return over.toSorted((one, other) => one.point.length - other.point.length).at(-1);
}

const unseen = (folder: string): Issue => ({
  path: folder,
  rule: "must let itself be looked at, for its VMs are its own while it is there",
  remedy: `mend what keeps it from being seen, then try again: stat ${shellWord(folder)}`,
});

const withoutParent = (folder: string, above: string): Issue => ({
  path: folder,
  rule: `must have ${above} above it, or it may be on a disk that is not mounted, or in a home that is locked`,
  remedy: `mount or unlock it, then try again; if it is gone for good, say so: mkdir -p ${shellWord(above)}`,
});

const mayBeAway = (folder: string, where: string): Issue => ({
  path: folder,
  rule: `must be there to be looked at, for it is ${where}`,
  remedy: `connect that disk, then try again; if it is gone for good, a checkout that is put back there (git clone) has its VMs again by \`make up\`, and removes them, with all their disks, by \`make clean\``,
});
