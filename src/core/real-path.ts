import { realpathSync } from "node:fs";
import path from "node:path";

/** A path without symbolic links, as far as there is something at it. */
export function realPath(place: string): string {
  try {
    return realpathSync(place);
  } catch {
    return place === path.dirname(place) ? place : path.join(realPath(path.dirname(place)), path.basename(place));
  }
}

/** Whether a path leads to a folder, or to what is below it, however each is spelled. */
export function isWithin(place: string, folder: string): boolean {
  return `${realPath(place)}/`.startsWith(`${realPath(folder)}/`);
}
