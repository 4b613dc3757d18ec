/** Bytes of the space that a header of version 2 leaves before the name of the file that the image stands on. */
const nameOffset = 80;

/** The beginning of a qcow2 image that stands on another file: docs/interop/qcow2.txt of QEMU. */
export function imageOn(backing: string): Buffer {
  const image = Buffer.alloc(2 ** 17);
  image.write("QFI\xfb", "latin1");
  image.writeUInt32BE(2, 4);
  image.writeBigUInt64BE(BigInt(nameOffset), 8);
  image.writeUInt32BE(backing.length, 16);
  // Bits of a cluster's size, and the image's size.
  image.writeUInt32BE(16, 20);
  image.writeBigUInt64BE(2n ** 20n, 24);
  image.write(backing, nameOffset);
  return image;
}
