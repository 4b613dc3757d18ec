import type { Log } from "../../core/log.ts";
import type { ImageHost } from "../../images/look-at-images.ts";
import { type BaseImage, type ImageUsage, isNewerThanMarker, usersOf } from "../../images/usage.ts";
import { damageOf, readWhole, verifyImages } from "../../images/verify.ts";
import type { PoolFound } from "../../libvirt/inventory.ts";
import type { Shell } from "../../libvirt/shell.ts";
import { type Examined, failure, looked, ok, warning } from "./finding.ts";

/** What is to be known of a host to examine its base images. */
export interface ImagesAt {
  /** The stack's name, for commands. */
  stack: string;
  host: ImageHost;
  /** The one that has them; undefined before the first update. */
  pool: PoolFound | undefined;
  usage: ImageUsage;
  shell: Shell;
}

/** Reads the base images of a host whole, there, some seconds each, and compares them with their digests. Changes nothing. */
export async function examineImages({ stack, host, pool, usage, shell }: ImagesAt, log: Log): Promise<Examined[]> {
  if (pool?.active === false) {
    const remedy = `start the pool ${pool.name}, then: project-vm doctor --stack ${stack}`;
    return [warning("base images", "could not be looked at: their pool is not active", remedy)];
  }
  const verify = `project-vm images verify --stack ${stack}`;
  const findings = usage.missing.map((image) =>
    failure("base images", `${image.path} is missing; on it: ${usersOf(image).join(", ")}`, "put the file back"),
  );
  for (const image of usage.images) {
    log(`reading ${image.path}`);
    const finding = await looked("base images", () => examineImage(image, host, shell, verify, log));
    if (finding) findings.push(finding);
  }
  if (findings.length > 0) return findings;
  if (usage.images.length === 0) return [ok("base images", "there is none yet: the first update brings it")];
  return [ok("base images", `${usage.images.length}, none missing, each with the digest that it was uploaded with`)];
}

/** @returns undefined where there is nothing to be said against it */
async function examineImage(
  image: BaseImage,
  host: ImageHost,
  shell: Shell,
  verify: string,
  log: Log,
): Promise<Examined | undefined> {
  const verdict = await readWhole(shell, image);
  if (!verdict.isWhole) {
    const { rule, remedy } = damageOf(verdict, host.uri);
    return failure("base images", `${image.path} ${rule}`, remedy);
  }
  if (!image.marker) return warning("base images", `${image.path}: its upload was cut off, or goes on`, verify);
  if (!isNewerThanMarker(image)) return undefined;
  const says = `${image.path} was written to after it was uploaded, which updates refuse; its digest is as it was`;
  return failure("base images", says, verify, () => verifyImages(host, log).then(() => undefined));
}
