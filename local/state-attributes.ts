import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { localDir } from "../host/resolve.ts";

/**
 * Removes the files of attributes, `….attrs`, that an engine under another URL of the backend wrote beside a checkout's state.
 * No engine needs them. One that was killed while it wrote such a file leaves it empty, and from then on each command says only
 * "failed to load checkpoint: EOF": `?metadata=skip` in the URL keeps the backend (fileblob of gocloud.dev, v0.46) from writing
 * them, not from reading one that is there, and an empty one would stay for ever.
 */
export function dropAttributes(projectRoot: string): void {
  for (const file of attributesIn(projectRoot)) rmSync(file, { force: true });
}

/** The files of attributes beside a checkout's state. */
export function attributesIn(projectRoot: string): string[] {
  const state = path.join(localDir(projectRoot), "state", ".pulumi");
  return filesBelow(state).flatMap((name) => (name.endsWith(".attrs") ? path.join(state, name) : []));
}

function filesBelow(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return []; // nothing was written yet
  }
}
