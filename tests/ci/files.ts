import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import path from "node:path";
import type { Things } from "./things.ts";

/**
 * Files, folders and links below the roots, each root on its own filesystem, by their paths. The mark of a file has when it was last
 * changed in any way, which no program can set back. That of a folder has no time: what was made in it and removed again has left
 * nothing.
 *
 * @param exempt what is at or below these paths is passed over
 * @param pattern so is what matches this
 */
export function filesIn(roots: string[], exempt: string[], pattern?: RegExp): Things {
  const found: Things = {};
  const passedOver = new Set(exempt.map((place) => path.resolve(place)));
  for (const root of roots) {
    const filesystem = statusOf(root)?.dev;
    const visit = (place: string) => {
      for (const name of namesIn(place)) {
        const file = place === "/" ? `/${name}` : `${place}/${name}`;
        if (passedOver.has(file) || pattern?.test(file)) continue;
        const status = statusOf(file);
        if (!status) continue;
        if (!isDevice(file, status)) found[file] = markOf(status);
        if (status.isDirectory() && status.dev === filesystem) visit(file);
      }
    };
    visit(root);
  }
  return found;
}

/** In /dev devices, their folders and links come and go with the hardware; a file there is somebody's mistake. */
const isDevice = (file: string, status: Stats) =>
  file.startsWith("/dev/") && !file.startsWith("/dev/shm/") && !status.isFile() && !status.isFIFO();

/** A hard link that is made or goes counts as a change of all the others, such as those of two local clones: these go by content. */
const timeOf = ({ nlink, mtimeMs, ctimeMs }: Stats) => (nlink === 1 ? ctimeMs : mtimeMs);

const markOf = (status: Stats) =>
  [
    status.mode,
    status.uid,
    status.gid,
    ...(status.isDirectory() ? [] : [status.ino, status.size, timeOf(status)]),
  ].join(" ");

/** The files that programs have open at the moment. */
export function openFiles(): Set<string> {
  const pids = namesIn("/proc").filter((name) => /^\d+$/.test(name));
  return new Set(pids.flatMap((pid) => namesIn(`/proc/${pid}/fd`).flatMap((fd) => linkOf(`/proc/${pid}/fd/${fd}`))));
}

function linkOf(file: string): string[] {
  try {
    return [readlinkSync(file)];
  } catch {
    return []; // closed in between
  }
}

function statusOf(file: string): Stats | undefined {
  try {
    return lstatSync(file);
  } catch {
    return undefined; // gone in between
  }
}

/** What is in a folder; of one that is gone, or that this user may not see, nothing. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
