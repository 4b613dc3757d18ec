import { closeSync, openSync, readSync } from "node:fs";
import { UserError } from "../config/errors.ts";

/** What a qcow2 file's header says. Format: https://www.qemu.org/docs/master/interop/qcow2.html */
export interface Qcow2Header {
  /** The disk's size as a guest sees it, in bytes. */
  virtualSize: number;
}

/**
 * Reads the header of a qcow2 image that is to stand by itself.
 *
 * @throws UserError when it is none, or stands on another file: that file would be read on the host, whatever it is
 */
export function readQcow2(file: string, shownAs = file): Qcow2Header {
  const header = readStart(file, 32);
  const refuse = (rule: string, remedy: string) =>
    new UserError("The image is not used.", [{ path: shownAs, rule, remedy }]);
  if (header.toString("latin1", 0, 4) !== "QFI\xfb") {
    throw refuse(
      "must be a qcow2 image, but is something else",
      "name the .qcow2 file, not an archive, a raw image or a web page",
    );
  }
  if (header.readBigUInt64BE(8) !== 0n) {
    throw refuse("must not have a backing file", "flatten it: qemu-img convert -O qcow2 …");
  }
  return { virtualSize: Number(header.readBigUInt64BE(24)) };
}

function readStart(file: string, length: number): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(length);
    readSync(descriptor, buffer, 0, length, 0);
    return buffer;
  } finally {
    closeSync(descriptor);
  }
}
