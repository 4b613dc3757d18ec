import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import type { ImageSettings } from "../config/settings.ts";
import { withLock } from "../core/lock.ts";
import type { Log } from "../core/log.ts";
import { buildImage } from "./build.ts";
import { type Image, ImageCache, imageCacheDir } from "./cache.ts";
import { fetchImage } from "./fetch.ts";
import { type BuildFile, debianTesting, recipeDigest } from "./recipe.ts";

export type { Image } from "./cache.ts";

/** The longest that one run waits for another that makes the same image, in seconds. */
const lockSeconds = 3600;

/** All files that decide what a build gives, beside the recipe. */
const buildFiles = ["build-debian.sh", "claude-code", "rootfs", "tailscale"];

/**
 * What an image is known by before it is there: a published image's digest, or the digest of what it is built from.
 * Equal identities are one image.
 */
export function imageIdentity(image: ImageSettings): string {
  return image.kind === "url" ? `url-${image.sha512}` : `build-${recipeDigest(debianTesting, readBuildFiles())}`;
}

/**
 * The image, made if it is not in the cache: built or fetched, verified, and never made twice. Two runs that want the
 * same one make it once; the other waits. An interrupted run leaves nothing that looks finished.
 *
 * @throws UserError when it cannot be had: a wrong digest (with both), a broken download, a failed step of the build
 * @example await ensureImage({ kind: "build" }, console.error)
 */
export async function ensureImage(
  image: ImageSettings,
  log: Log,
  cache = new ImageCache(imageCacheDir()),
): Promise<Image> {
  const identity = imageIdentity(image);
  return (
    cache.find(identity) ??
    withLock(cache.pathOf(identity), lockSeconds, log, async () => {
      const found = await cache.verified(identity, log);
      if (found) return found;
      const file = cache.partial(identity);
      return cache.keep(identity, file, () =>
        image.kind === "url" ? fetchImage(image, file, log) : buildImage(debianTesting, file, log),
      );
    })
  );
}

/** The contents, in a stable order, so that an edit of any of them is another image. */
function readBuildFiles(): BuildFile[] {
  return buildFiles.flatMap((entry) => contentsOf(entry));
}

function contentsOf(entry: string): BuildFile[] {
  const full = path.join(import.meta.dirname, entry);
  if (!statSync(full).isDirectory()) return [{ path: entry, content: readFileSync(full, "utf8") }];
  return readdirSync(full).flatMap((name) => contentsOf(path.join(entry, name)));
}
