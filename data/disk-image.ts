/**
 * What of a qcow2 image this program must know and qemu-img does not tell: the disk size that each snapshot had.
 * Format: https://www.qemu.org/docs/master/interop/qcow2.html
 */

/** A snapshot in an image. */
export interface Snapshot {
  name: string;
  created: Date;
  /** The disk's size when it was made, in bytes; null where the image does not say. */
  diskSize: number | null;
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
