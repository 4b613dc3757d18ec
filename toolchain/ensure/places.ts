import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { ownCache } from "../../src/core/cache-folder.ts";
import { realPath } from "../../src/core/real-path.ts";

/** The folder of this file's parent: the sources of the toolchain. */
export const sourceFolder = join(import.meta.dirname, "..");

/** The root of the checkout. */
export const checkoutFolder = join(sourceFolder, "..");

/**
 * Where toolchains are kept, outside of any checkout; it may be deleted at any time, at the cost of a new build.
 * Its path is the real one: by whichever links a shell leads there, it is one place, and processes run from it.
 *
 * @throws UserError when another user can change what is there
 */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return realPath(join(ownCache(environment), "toolchain"));
}

/** A short digest of texts: their order and their borders count. */
export function digestOf(texts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 12);
}

/** Names and contents of files, for a digest; folders stand for all that is in them. */
export function contentsOf(root: string, paths: readonly string[]): string[] {
  return paths
    .flatMap((path) => filesBelow(join(root, path)))
    .flatMap((file) => [relative(root, file), readFileSync(file, "utf8")]);
}

function filesBelow(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .sort((left, right) => (left.name < right.name ? -1 : 1))
      .flatMap((entry) => filesBelow(join(path, entry.name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return [path];
    throw error;
  }
}
