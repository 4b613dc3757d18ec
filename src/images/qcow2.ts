import { closeSync, openSync, readSync } from "node:fs";
import { type Issue, UserError } from "../core/errors.ts";

/** What a qcow2 image's header says. Format: https://www.qemu.org/docs/master/interop/qcow2.html */
export interface ImageHeader {
  /** The disk's size as a guest sees it, in bytes. */
  virtualSize: number;
  /** Its contents are partly in another file, which whoever reads it reads too. */
  needsOtherFile: boolean;
  isEncrypted: boolean;
  /** Of qcow2's old format (`compat=0.10`), in which a disk that has snapshots cannot become bigger. */
  isOldFormat: boolean;
  snapshots: { count: number; offset: number };
}

/** How much of an image's beginning {@link parseHeader} needs, in bytes. */
export const headerLength = 80;

/** Bit of the header's incompatible features that says "external data file". */
const dataFileFeature = 4n;

/** Reads an image's first {@link headerLength} bytes; undefined when it is no qcow2 image. */
export function parseHeader(start: Buffer): ImageHeader | undefined {
  if (start.length < headerLength || start.toString("latin1", 0, 4) !== "QFI\xfb") return undefined;
  const isOldFormat = start.readUInt32BE(4) < 3;
  const features = isOldFormat ? 0n : start.readBigUInt64BE(72);
  return {
    virtualSize: Number(start.readBigUInt64BE(24)),
    needsOtherFile: start.readBigUInt64BE(8) !== 0n || (features & dataFileFeature) !== 0n,
    isEncrypted: start.readUInt32BE(32) !== 0,
    isOldFormat,
    snapshots: { count: start.readUInt32BE(60), offset: Number(start.readBigUInt64BE(64)) },
  };
}

/** Reads the header of a qcow2 image that is to stand by itself; as {@link standalone}. */
export function readQcow2(file: string, shownAs = file): ImageHeader {
  return standalone(readStart(file), shownAs);
}

/**
 * Why an image of a stranger's is not used, as a base image or as a project disk: the file that it needs would be read on
 * the host, whatever it is, and nobody there has its key. undefined: it stands by itself. by-itself.sh looks for the same.
 *
 * @param owner number of the user who alone may write to it; undefined: it is not known
 */
export function notByItself(header: ImageHeader, owner?: number): Pick<Issue, "rule" | "remedy"> | undefined {
  if (header.needsOtherFile) {
    return { rule: "must not need another file beside it", remedy: convertedByOwner("make it one", owner) };
  }
  if (header.isEncrypted) return { rule: "must not be encrypted", remedy: convertedByOwner("decrypt it", owner) };
  return undefined;
}

/** What is to be done with such an image: by its owner, for root would read whatever it names. by-itself.sh says the same. */
export function convertedByOwner(what: string, owner?: number): string {
  const command = "qemu-img convert -O qcow2";
  if (owner === undefined) return `have whoever made it ${what}: ${command}`;
  if (owner === process.getuid?.()) return `where you know what it names, ${what}: ${command}`;
  return `have its owner ${what}, not root, who may read more: sudo -u '#${owner}' ${command}`;
}

/**
 * The header of a qcow2 image that is to be a base image.
 *
 * @param start its first {@link headerLength} bytes
 * @throws UserError when it is none, or does not stand by itself
 */
export function standalone(start: Buffer, shownAs: string): ImageHeader {
  const header = parseHeader(start);
  const refuse = (issue: Pick<Issue, "rule" | "remedy">) =>
    new UserError("The image is not used.", [{ path: shownAs, ...issue }]);
  if (!header) {
    const remedy = "name the .qcow2 file, not an archive, a raw image or a web page";
    throw refuse({ rule: "must be a qcow2 image, but is something else", remedy });
  }
  const issue = notByItself(header);
  if (issue) throw refuse(issue);
  return header;
}

/** The first {@link headerLength} bytes of a file. */
export function readStart(file: string): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(headerLength);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, headerLength, 0));
  } finally {
    closeSync(descriptor);
  }
}
