import path from "node:path";
import type { StackConfig } from "../config/settings.ts";
import { basePoolName } from "../core/names.ts";
import { formatSize } from "../core/sizes.ts";
import { deleteVolume } from "../libvirt/pool-volumes.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { ImageCache, imageCacheDir } from "./cache.ts";
import { imageIdentity } from "./image.ts";
import { type ImageHost, lookAtEverything } from "./look-at-images.ts";
import { markOf, uploadSeconds, withUploadLock } from "./publish.ts";
import { type BaseImage, digestInName, type ImageUsage, imageUsage, usersOf } from "./usage.ts";

/** What is known on this machine of the images that new VMs of a stack would stand on. */
export interface CurrentImages {
  /** First digits of their SHA-512, as names of images tell them. */
  digests: string[];
  /** Whether that is all of them: which image a build gives is only known once it was built here. */
  isComplete: boolean;
}

/** What a prune would do to each base image of a host. */
export interface PrunePlan {
  remove: BaseImage[];
  keep: { image: BaseImage; reason: string }[];
}

/** What became of the base images of a host. */
export interface Pruned {
  removed: BaseImage[];
  kept: PrunePlan["keep"];
}

/** The images that new VMs of a stack would stand on: the stack's own, and those of its projects. */
export function currentImages(
  { image, projects }: Pick<StackConfig, "image" | "projects">,
  cache = new ImageCache(imageCacheDir()),
): CurrentImages {
  const wanted = [image, ...Object.values(projects).flatMap((project) => project.image ?? [])];
  const digests = wanted.map((one) => (one.kind === "url" ? one.sha512 : cache.find(imageIdentity(one))?.sha512));
  const known = digests.flatMap((digest) => digest?.slice(0, 12).toLowerCase() ?? []);
  return { digests: known, isComplete: known.length === wanted.length };
}

/**
 * Which base images nobody needs. Pure; it knows no more than what the look behind `usage` saw.
 *
 * @param now in seconds since the epoch
 */
export function planPrune({ images }: ImageUsage, current: CurrentImages, now: number): PrunePlan {
  const judged = images.map((image) => ({ image, reason: reasonToKeep(image, current, now) }));
  return {
    remove: judged.flatMap(({ image, reason }) => (reason === undefined ? [image] : [])),
    keep: judged.flatMap(({ image, reason }) => (reason === undefined ? [] : [{ image, reason }])),
  };
}

/**
 * Removes base images that nobody needs. Each is judged again just before it goes, while nobody on this machine uploads
 * it; the marker goes first, so that what an interruption leaves is an image that is not marked as whole.
 *
 * @param confirm is told what would go, and says whether it may; not asked when nothing would
 * @returns what became of each; undefined when none may go
 * @throws UserError when not all that may stand on a base image can be seen
 * @example await pruneImages(host, currentImages(config), async ({ remove }) => remove.length < 3, console.error)
 */
export async function pruneImages(
  host: ImageHost,
  current: CurrentImages,
  confirm: (plan: PrunePlan) => Promise<boolean>,
  log: (line: string) => void,
  cache = new ImageCache(imageCacheDir()),
): Promise<Pruned | undefined> {
  const plan = await look(host, current);
  if (plan.remove.length === 0) {
    for (const { image, reason } of plan.keep) log(`kept ${image.name}: ${reason}`);
    return { removed: [], kept: plan.keep };
  }
  if (!(await confirm(plan))) return undefined;
  const pruned: Pruned = { removed: [], kept: [...plan.keep] };
  for (const { name } of plan.remove) {
    const { remove, keep } = await withUploadLock(path.join(cache.dir, name), log, () =>
      removeIfUnused(host, current, name, log),
    );
    pruned.removed.push(...remove);
    pruned.kept.push(...keep);
  }
  return pruned;
}

async function look(host: ImageHost, current: CurrentImages): Promise<PrunePlan> {
  return planPrune(imageUsage(await lookAtEverything(host), host.storageDir), current, Date.now() / 1000);
}

/** @returns what of the plan was for this image, and is carried out; nothing where it is gone already */
async function removeIfUnused(
  host: ImageHost,
  current: CurrentImages,
  name: string,
  log: (line: string) => void,
): Promise<PrunePlan> {
  const plan = await look(host, current);
  const remove = plan.remove.filter((one) => one.name === name);
  const keep = plan.keep.filter((one) => one.image.name === name);
  for (const image of remove) {
    const virsh = virshFor(host.uri);
    await deleteVolume(virsh, basePoolName, markOf(image));
    await deleteVolume(virsh, basePoolName, name);
    log(`removed ${name} (${formatSize(image.allocation)})`);
  }
  for (const { reason } of keep) log(`kept ${name}: ${reason}`);
  if (remove.length + keep.length === 0) log(`${name} is gone already`);
  return { remove, keep };
}

function reasonToKeep(image: BaseImage, current: CurrentImages, now: number): string | undefined {
  const users = usersOf(image);
  if (users.length > 0) return `${users.join(", ")} ${users.length === 1 ? "stands" : "stand"} on it`;
  if (current.digests.includes(digestInName(image.name) ?? "")) return "new VMs of this stack stand on it";
  if (!current.isComplete) return "new VMs of this stack may stand on it: which image they get was not built here yet";
  // An update on another machine, whose lock is not seen here, may upload it now or put its first VM on it.
  if (image.modified === undefined) return "when it was uploaded is not known";
  return image.modified > now - uploadSeconds
    ? "it was uploaded less than an hour ago, maybe for a VM to come"
    : undefined;
}
