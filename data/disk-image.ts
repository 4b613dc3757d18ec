/**
 * What of a qcow2 image this program must know and qemu-img does not tell: the disk size that each snapshot had.
 * Format: https://www.qemu.org/docs/master/interop/qcow2.html
 */

/** What a qcow2 header says. */
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

/** A snapshot in an image. */
export interface Snapshot {
  name: string;
  created: Date;
  /** The disk's size when it was made, in bytes; null where the image does not say. */
  diskSize: number | null;
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

/** Reads an image's table of snapshots, in the order in which they were made. */
export function parseSnapshots(table: Buffer, count: number): Snapshot[] {
  const snapshots: Snapshot[] = [];
  for (let at = 0; snapshots.length < count; ) {
    const [idLength, nameLength, extraLength] = [
      table.readUInt16BE(at + 12),
      table.readUInt16BE(at + 14),
      table.readUInt32BE(at + 36),
    ];
    const name = at + 40 + extraLength + idLength;
    snapshots.push({
      name: table.toString("utf8", name, name + nameLength),
      created: new Date(table.readUInt32BE(at + 16) * 1000),
      diskSize: extraLength >= 16 ? Number(table.readBigUInt64BE(at + 48)) : null,
    });
    // Entries begin at multiples of 8.
    at = Math.ceil((name + nameLength) / 8) * 8;
  }
  return snapshots;
}
