import { closeSync, openSync, readSync } from "node:fs";
import { UserError } from "../config/errors.ts";

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
 * The header of a qcow2 image that is to stand by itself.
 *
 * @param start its first {@link headerLength} bytes
 * @throws UserError when it is none, or needs another file: that file would be read on the host, whatever it is
 */
export function standalone(start: Buffer, shownAs: string): ImageHeader {
  const header = parseHeader(start);
  const refuse = (rule: string, remedy: string) =>
    new UserError("The image is not used.", [{ path: shownAs, rule, remedy }]);
  if (!header) {
    throw refuse(
      "must be a qcow2 image, but is something else",
      "name the .qcow2 file, not an archive, a raw image or a web page",
    );
  }
  if (header.needsOtherFile) {
    throw refuse("must not have a backing file or an external data file", "flatten it: qemu-img convert -O qcow2 …");
  }
  return header;
}

function readStart(file: string): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(headerLength);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, headerLength, 0));
  } finally {
    closeSync(descriptor);
  }
}
