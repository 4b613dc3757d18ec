import { createHash } from "node:crypto";
import {
  chmodSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { ownCache } from "../core/cache-folder.ts";
import { removeWhenInterrupted } from "./interrupted.ts";
import { readQcow2 } from "./qcow2.ts";

/** A base image on this machine. */
export interface Image {
  file: string;
  /** Of the whole file, in hex. */
  sha512: string;
  /** `debian-testing-<first 12 of sha512>.qcow2`: its name wherever it goes. */
  name: string;
  /** The least that a root disk on it can have, in bytes. */
  virtualSize: number;
}

/** What is noted of an image when it comes in: as long as size and time are the same, its digest is. */
interface Note extends Image {
  size: number;
  mtimeMs: number;
}

/**
 * Where images are kept, for all checkouts of this user. It may be deleted at any time, at the cost of a new build.
 *
 * @throws UserError when another user can change what is there
 */
export function imageCacheDir(environment: NodeJS.ProcessEnv = process.env): string {
  return path.join(ownCache(environment), "images");
}

/** Images under names that tell their contents, read-only, and notes that lead from an identity to an image. */
export class ImageCache {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** An identity's note, which is also what its lock is named after. */
  pathOf(identity: string): string {
    return path.join(this.dir, `${identity.slice(0, 40)}.json`);
  }

  /** Where an image is put together before it is whole. There is one for each identity, so that leftovers are overwritten. */
  partial(identity: string): string {
    mkdirSync(this.dir, { recursive: true });
    return path.join(this.dir, `${identity.slice(0, 40)}.partial`);
  }

  /** The image, if it is there and nobody has touched it since it was verified. Takes no time. */
  find(identity: string): Image | undefined {
    const note = this.note(identity);
    if (!note || !existsSync(note.file)) return undefined;
    const { size, mtimeMs } = statSync(note.file);
    return size === note.size && mtimeMs === note.mtimeMs ? imageOf(note) : undefined;
  }

  /** The same, but one that was touched is read whole; what is not what it was is taken away. */
  async verified(identity: string, log: (line: string) => void): Promise<Image | undefined> {
    const found = this.find(identity);
    const note = this.note(identity);
    if (found || !note || !existsSync(note.file)) return found;
    log(`${note.name} was touched since it was made: checking its digest`);
    const sha512 = await sha512Of(note.file);
    if (sha512 === note.sha512) return this.write(identity, imageOf(note));
    log(`${note.name} in the cache is damaged (its SHA-512 is ${sha512}): recreating it`);
    rmSync(note.file);
    return undefined;
  }

  /**
   * Has an image made at `file` and takes it in.
   *
   * @param make resolves when the file is whole; if it throws, the file goes
   */
  async keep(identity: string, file: string, make: () => Promise<void>): Promise<Image> {
    const callOff = removeWhenInterrupted([file]);
    try {
      await make();
      const { virtualSize } = readQcow2(file);
      const sha512 = await sha512Of(file);
      const name = `debian-testing-${sha512.slice(0, 12)}.qcow2`;
      const kept = path.join(this.dir, name);
      chmodSync(file, 0o444);
      renameSync(file, kept);
      return this.write(identity, { file: kept, sha512, name, virtualSize });
    } finally {
      callOff();
      rmSync(file, { force: true });
    }
  }

  private note(identity: string): Note | undefined {
    const file = this.pathOf(identity);
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Note) : undefined;
  }

  private write(identity: string, image: Image): Image {
    const { size, mtimeMs } = statSync(image.file);
    const file = this.pathOf(identity);
    writeFileSync(`${file}.new`, `${JSON.stringify({ ...image, size, mtimeMs } satisfies Note, null, 2)}\n`);
    renameSync(`${file}.new`, file);
    return image;
  }
}

const imageOf = ({ file, sha512, name, virtualSize }: Note): Image => ({ file, sha512, name, virtualSize });

/** The SHA-512 of a file, in hex. */
export async function sha512Of(file: string): Promise<string> {
  const hash = createHash("sha512");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}
