import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { Things } from "./things.ts";

/** A folder that is looked at, with all that is below it on the same filesystem. */
export interface Root {
  folder: string;
  /** `all`: what is new, changed or gone. `new`: only what is new, where other programs change what is theirs. */
  look: "all" | "new";
  /** Only entries of the folder itself with such names: where other programs make files of their own. */
  only?: string;
}

/**
 * Files, folders and links below the roots, by their paths. The mark of a folder has no time: what was made in it and removed again
 * has left nothing.
 *
 * @param exempt what is at or below these paths is passed over
 */
export function filesIn(roots: Root[], exempt: string[]): Things {
  const found: Things = {};
  const passedOver = new Set(exempt.map((place) => path.resolve(place)));
  for (const { folder, look, only } of roots) {
    const filesystem = statusOf(folder)?.dev;
    const pattern = only === undefined ? undefined : new RegExp(only);
    const visit = (place: string, isTop: boolean) => {
      for (const name of namesIn(place)) {
        const file = path.join(place, name);
        if (passedOver.has(file) || (isTop && pattern && !pattern.test(name))) continue;
        const status = statusOf(file);
        if (!status) continue;
        found[file] = look === "new" ? "" : markOf(status);
        if (status.isDirectory() && status.dev === filesystem) visit(file, false);
      }
    };
    visit(folder, true);
  }
  return found;
}

type Status = NonNullable<ReturnType<typeof statusOf>>;

const markOf = (status: Status) =>
  [status.mode, status.uid, ...(status.isDirectory() ? [] : [status.ino, status.size, status.mtimeNs])].join(" ");

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

function statusOf(file: string) {
  try {
    return lstatSync(file, { bigint: true });
  } catch {
    return undefined; // gone in between
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // gone in between, or another user's
  }
}
