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

/** Of what an entry always has: lengths, times; then come the rest, the id and the name. */
const entryLength = 40;

/**
 * Reads an image's table of snapshots, in the order in which they were made. undefined: the table ends before they do, as it is
 * damaged, or longer than what was read of it.
 */
export function parseSnapshots(table: Buffer, count: number): Snapshot[] | undefined {
  const snapshots: Snapshot[] = [];
  for (let at = 0; snapshots.length < count; ) {
    if (at + entryLength > table.length) return undefined;
    const [idLength, nameLength, extraLength] = [
      table.readUInt16BE(at + 12),
      table.readUInt16BE(at + 14),
      table.readUInt32BE(at + 36),
    ];
    const name = at + entryLength + extraLength + idLength;
    if (name + nameLength > table.length) return undefined;
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
