import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { withLock } from "../core/lock.ts";
import { baseFolder } from "../core/names.ts";
import { shellWord } from "../core/shell-word.ts";
import { formatSize, MiB } from "../core/sizes.ts";
import { overlayAmong } from "../libvirt/backing-files.ts";
import { holdsConsole } from "../libvirt/console-log.ts";
import { disksOf } from "../libvirt/domain-disks.ts";
import { parsePool, parseVolume } from "../libvirt/libvirt-xml.ts";
import { deleteVolume, filePools, refreshPool, volumesIn } from "../libvirt/pool-volumes.ts";
import { shellFor } from "../libvirt/shell.ts";
import { type Virsh, virshFor } from "../libvirt/virsh.ts";
import type { Image } from "./cache.ts";
import { inactive } from "./look-at-images.ts";
import { readQcow2 } from "./qcow2.ts";
import { isNamed, isNewerThanMarker } from "./usage.ts";

/** A base image as a host has it. */
export interface PublishedVolume {
  name: string;
  /** The volume's path on the host, which is libvirt's key for it. */
  path: string;
}

/** The longest that an upload may take, in seconds. */
export const uploadSeconds = 3600;

/** What must stay free beside the image, in bytes. */
const margin = 512 * MiB;

/**
 * Makes sure that an image is whole in a host's pool. The volume `<name>.sha512` beside it is written last and says that
 * it is; an image without it was cut off while it was uploaded, and is uploaded again.
 *
 * @throws UserError when there is no room for it, or VMs stand on an image of that name that is not whole
 */
export async function publishImage(
  image: Image,
  uri: string,
  pool: string,
  log: (line: string) => void,
): Promise<PublishedVolume> {
  const virsh = virshFor(uri, uploadSeconds);
  return withUploadLock(image.file, log, async () => {
    await refreshPool(virsh, pool);
    const state = await stateOf(virsh, image, pool);
    if (state !== "whole") await upload(virsh, image, pool, state, log);
    return { name: image.name, path: (await volumesIn(virsh, pool)).get(image.name) as string };
  });
}

/** What is on a host of an image. One that was written to after its mark was may be another one by now. */
export type PublishedState = "whole" | "missing" | "unmarked" | "altered";

/** What a host's pool has of an image, as libvirt knows it since it last read the pool. */
export async function stateOf(virsh: Virsh, image: Pick<Image, "name">, pool: string): Promise<PublishedState> {
  const volumes = await volumesIn(virsh, pool);
  if (!volumes.has(image.name)) return "missing";
  if (!volumes.has(markOf(image))) return "unmarked";
  const dump = async (name: string) => parseVolume(await virsh.run("vol-dumpxml", name, "--pool", pool));
  const [file, mark] = await Promise.all([dump(image.name), dump(markOf(image))]);
  return isNewerThanMarker({ ...file, marker: mark }) ? "altered" : "whole";
}

/**
 * Does something with an image on hosts while no other process of this machine uploads, removes or marks it.
 *
 * @param file the image's place in this machine's cache, whether or not it is there
 */
export function withUploadLock<T>(file: string, log: (line: string) => void, action: () => Promise<T>): Promise<T> {
  return withLock(`${file}.publishing`, uploadSeconds, log, action);
}

/** The name of the volume that says that an image is whole. */
export const markOf = ({ name }: Pick<Image, "name">) => `${name}.sha512`;

/** Writes the volume that says that an image is whole, again if it is there. */
export async function writeMark(virsh: Virsh, image: Pick<Image, "name" | "sha512">, pool: string): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), "mark-"));
  try {
    const text = `${image.sha512}  ${image.name}\n`;
    await writeFile(path.join(dir, "mark"), text);
    const isThere = (await volumesIn(virsh, pool)).has(markOf(image));
    if (!isThere) await virsh.run("vol-create-as", pool, markOf(image), `${text.length}`, "--format", "raw");
    await virsh.run("vol-upload", markOf(image), path.join(dir, "mark"), "--pool", pool);
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function upload(
  virsh: Virsh,
  image: Image,
  pool: string,
  state: Exclude<PublishedState, "whole">,
  log: (line: string) => void,
): Promise<void> {
  if (state !== "missing") await removeDoubtful(virsh, image, pool, state, log);
  // Of an image that went without it: beside a new upload it would be true too soon.
  await deleteVolume(virsh, pool, markOf(image));
  // It may have come into the cache before all of this was looked at.
  readQcow2(image.file, image.name);
  const { size } = await stat(image.file);
  await requireRoom(virsh, pool, size);
  const started = performance.now();
  log(`uploading ${image.name} to the host's pool (${formatSize(size)})`);
  await virsh.run("vol-create-as", pool, image.name, `${image.virtualSize}`, "--format", "qcow2", "--allocation", "0");
  await virsh.run("vol-upload", image.name, image.file, "--pool", pool);
  await writeMark(virsh, image, pool);
  // Another image may be on its way into the same pool, in this very update.
  await refreshPool(virsh, pool, uploadSeconds);
  log(`uploaded ${image.name}, ${Math.round((performance.now() - started) / 1000)} s`);
}

/** Only what no VM stands on: an overlay without its base is lost. */
async function removeDoubtful(
  virsh: Virsh,
  image: Image,
  pool: string,
  state: "unmarked" | "altered",
  log: (line: string) => void,
): Promise<void> {
  const user = await userOf(virsh, image, pool);
  if (user) {
    const file = (await volumesIn(virsh, pool)).get(image.name) as string;
    throw state === "unmarked" ? notMarked(image, file, user) : maybeAltered(image, file, user);
  }
  const why = state === "unmarked" ? "was cut off while it was uploaded" : "was written to since it was uploaded";
  log(`${image.name} on the host ${why}: uploading it again`);
  await deleteVolume(virsh, pool, image.name);
}

const notMarked = (image: Image, file: string, user: string) =>
  new UserError("A base image on the host is not marked as whole, and is left alone.", [
    {
      path: file,
      rule: `must have ${markOf(image)} beside it, since ${user} stands on it`,
      remedy: `if its SHA-512 is ${image.sha512}, write that into ${file}.sha512; else rebuild the VMs on it`,
    },
  ]);

const maybeAltered = (image: Image, file: string, user: string) =>
  new UserError("A base image on the host may have been altered, and is left alone.", [
    {
      path: file,
      rule: `must not be newer than ${markOf(image)}, since ${user} stands on it`,
      remedy: "compare its contents: `project-vm images verify`; if they are others, rebuild the VMs on it",
    },
  ]);

/**
 * What has the image as its disk or as its backing file, however that is written.
 *
 * @throws UserError when not all that may can be seen
 */
async function userOf(virsh: Virsh, image: Image, basePool: string): Promise<string | undefined> {
  const seen = new Set<string>();
  const base = await virsh.run("pool-dumpxml", basePool);
  const storageDir = path.posix.dirname(parsePool(base).path);
  // Those that other steps define and start meanwhile are among the active ones.
  for (const pool of await filePools(virsh, "--all")) {
    try {
      if (!(await filePools(virsh)).includes(pool)) {
        if (await holdsConsole(virsh, pool, storageDir)) continue;
        throw unseen(inactive(virsh.uri, { name: pool }));
      }
      const user = await overlayIn(virsh, pool, image, seen);
      if (user) return user;
    } catch (error) {
      // One that went meanwhile shows nothing; one that is there must.
      if ((await filePools(virsh, "--all")).includes(pool)) throw error;
    }
  }
  return domainOn(virsh, image, path.posix.join(storageDir, baseFolder, image.name), seen);
}

/** @param seen is given the paths of all volumes that do not stand on the image */
async function overlayIn(virsh: Virsh, pool: string, { name }: Image, seen: Set<string>): Promise<string | undefined> {
  await refreshPool(virsh, pool, uploadSeconds);
  for (const volume of (await volumesIn(virsh, pool)).keys()) {
    const { path, backingPath } = parseVolume(await virsh.run("vol-dumpxml", volume, "--pool", pool));
    if (backingPath && isNamed(backingPath, name)) return path;
    seen.add(path);
  }
  return undefined;
}

/** @param seen the paths of all volumes, which do not stand on the image */
async function domainOn(virsh: Virsh, { name }: Image, file: string, seen: Set<string>): Promise<string | undefined> {
  const hidden = new Set<string>();
  for (const domain of (await virsh.run("list", "--all", "--name")).split("\n").filter(Boolean)) {
    for (const { source, chain, format } of await disksOf(virsh, domain)) {
      if ([source, ...chain].some((one) => isNamed(one, name))) return `the domain ${domain}`;
      if (format === "qcow2" && path.isAbsolute(source) && !seen.has(source)) hidden.add(source);
    }
  }
  const { image, unknown } = (await overlayAmong(shellFor(virsh.uri), [...hidden], file)) ?? {};
  if (image !== undefined && unknown !== undefined) throw unseen(unreadable(image, unknown));
  return image;
}

const unseen = (issue: Issue) =>
  new UserError("A base image on the host is left alone: not all that may stand on it can be seen.", [issue]);

const unreadable = (file: string, why: string): Issue => ({
  path: file,
  rule: `must be readable, or it cannot be known which base image it stands on (${why})`,
  remedy: `look at that disk of another VM, or have its folder in a pool of the host: qemu-img info ${shellWord(file)}`,
});

async function requireRoom(virsh: Virsh, pool: string, size: number): Promise<void> {
  const info = await virsh.run("pool-info", pool, "--bytes");
  const available = Number(/^Available:\s*(\d+)/m.exec(info)?.[1]);
  if (available >= size + margin) return;
  throw new UserError("There is no room for the base image on the host.", [
    {
      path: `pool ${pool}`,
      rule: `must have ${formatSize(size + margin)} free, but has ${formatSize(available)}`,
      remedy: "free space in the host's storageDir, or name another folder",
    },
  ]);
}
