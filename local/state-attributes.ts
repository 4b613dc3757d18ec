import { readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { localDir } from "../host/resolve.ts";

/** Where the file backend has what the engine reads first; its history and backups are many files, and not read then. */
const folders = ["stacks", "locks"];

/**
 * Takes away the files of attributes that an engine has left empty which was killed while it wrote the state. With one of them
 * it says only "failed to load checkpoint: EOF" from then on; it does without. (Beside each file the backend keeps one,
 * `….attrs`, which is not written whole as the file itself is: `setAttrs` in gocloud.dev's fileblob.)
 */
export function dropEmptyAttributes(projectRoot: string): void {
  for (const folder of folders) {
    const dir = path.join(localDir(projectRoot), "state", ".pulumi", folder);
    for (const file of filesBelow(dir).filter((name) => name.endsWith(".attrs"))) {
      const place = path.join(dir, file);
      if (statSync(place, { throwIfNoEntry: false })?.size === 0) rmSync(place, { force: true });
    }
  }
}

function filesBelow(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return []; // nothing was written yet
  }
}
