import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { basePoolName } from "../core/names.ts";
import { parseVolume } from "../libvirt/libvirt-xml.ts";
import { refreshPool } from "../libvirt/pool-volumes.ts";
import { type Shell, shellFor } from "../libvirt/shell.ts";
import { type Virsh, virshFor } from "../libvirt/virsh.ts";
import { virshInShell } from "../libvirt/virsh-line.ts";
import { ImageCache, imageCacheDir } from "./cache.ts";
import { type ImageHost, lookAtImages } from "./look-at-images.ts";
import { withUploadLock, writeMark } from "./publish.ts";
import { type BaseImage, digestInName, imageUsage, isNewerThanMarker, usersOf } from "./usage.ts";

/** What came of reading a base image whole. */
export interface Verdict {
  image: BaseImage;
  /** Its SHA-512, in hex. */
  found: string;
  /** What it should be: by its marker or, without one, the first digits by its name. */
  wanted: string;
  isWhole: boolean;
}

/**
 * Reads all base images of a host whole, there, and compares them with their markers. One that is what it should be
 * has its marker written where that is missing or older than the image; nothing else is changed.
 *
 * @throws UserError when the host cannot be reached or its files cannot be read
 * @example (await verifyImages(host, log)).filter(({ isWhole }) => !isWhole)
 */
export async function verifyImages(
  host: ImageHost,
  log: (line: string) => void,
  cache = new ImageCache(imageCacheDir()),
): Promise<Verdict[]> {
  const { pools } = await lookAtImages(host);
  if (!pools.some(({ name }) => name === basePoolName)) return [];
  const virsh = virshFor(host.uri);
  await refreshPool(virsh, basePoolName);
  const shell = shellFor(host.uri);
  const { images } = imageUsage(await lookAtImages(host), host.storageDir);
  const verdicts: Verdict[] = [];
  for (const image of images) {
    log(`reading ${image.path}`);
    const verdict = await withUploadLock(path.join(cache.dir, image.name), log, () => verify(virsh, shell, image));
    log(`${image.name} is ${verdict.isWhole ? "" : "NOT "}what it should be`);
    verdicts.push(verdict);
  }
  return verdicts;
}

/**
 * Makes sure that all images are what they should be.
 *
 * @throws UserError naming each that is not: the file, both digests, the projects on it, what to do
 */
export function requireWhole(verdicts: Verdict[], { uri }: ImageHost): void {
  const damaged = verdicts.filter(({ isWhole }) => !isWhole);
  if (damaged.length === 0) return;
  throw new UserError(
    "Base images on the host are not what they should be.",
    damaged.map((one) => damageOf(one, uri)),
  );
}

/**
 * Reads a base image whole, where it is, and compares it with its marker and its name. Changes nothing.
 *
 * @throws ShellError when it cannot be read
 */
export async function readWhole(shell: Shell, image: BaseImage): Promise<Verdict> {
  const found = digestIn(await shell.run(["sha512sum", image.path])) ?? "";
  const inMarker = image.marker && digestIn(await shell.run(["cat", image.marker.path]));
  const inName = digestInName(image.name) ?? "";
  const isWhole = found === (inMarker ?? found) && found.startsWith(inName);
  return { image, found, wanted: inMarker ?? inName, isWhole };
}

async function verify(virsh: Virsh, shell: Shell, image: BaseImage): Promise<Verdict> {
  const verdict = await readWhole(shell, image);
  const isMarked = verdict.wanted === verdict.found;
  if (verdict.isWhole && (!isMarked || isNewerThanMarker(image))) {
    await requireUnchanged(virsh, image);
    await writeMark(virsh, { name: image.name, sha512: verdict.found }, basePoolName);
  }
  return verdict;
}

/** A marker newer than a change that the digest has not seen would hide it. */
async function requireUnchanged(virsh: Virsh, { name, path, modified }: BaseImage): Promise<void> {
  const volume = parseVolume(await virsh.run("vol-dumpxml", name, "--pool", basePoolName));
  if (volume.modified === modified) return;
  throw new UserError("A base image changes while it is read.", [
    { path, rule: "must not be written to by anybody", remedy: "find out who does, then verify it again" },
  ]);
}

/** What is wrong with an image that is not what it should be, and what to do about it. */
export function damageOf({ image, found, wanted }: Verdict, uri: string): Issue {
  const users = usersOf(image);
  const digits = wanted.length < found.length ? `a SHA-512 that begins with ${wanted}` : `the SHA-512 ${wanted}`;
  const unmarked = image.marker ? "" : " and is not marked as whole: its upload was cut off, or goes on";
  const standing = users.length > 0 ? `on it: ${users.join(", ")}` : "nothing stands on it";
  return {
    path: image.path,
    rule: `must have ${digits}, but has ${found}${unmarked}; ${standing}`,
    remedy: users.length > 0 ? restore(image.name, uri) : removal(image.name, uri),
  };
}

function restore(name: string, uri: string): string {
  const back = "shut these VMs down, put the file back as it was, and verify it again";
  return `${back}; if nobody has it any more, ${removal(name, uri)}, and write another \`rebuild: <any text>\` into these projects' entries: new root disks, the project disks are kept`;
}

function removal(name: string, uri: string): string {
  return `remove it: \`${virshInShell(uri, "vol-delete", name, "--pool", basePoolName)}\``;
}

const digestIn = (text: string) => /[0-9a-f]{128}/.exec(text)?.[0];
