const sectorSize = 512;

/** What flood-guest.S is assembled to. */
const code = "+jHbjttmMdtmid65CABmwcYEifAkDwQwPDl2AgQn6AsA4uuwCugEAGZD69yIxLr9A+yoIHT7uvgDiODuww==";

/** A disk that boots a guest which prints without end on its serial console: `00000000`, `00000001`, … */
export function floodGuest(): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  Buffer.from(code, "base64").copy(disk);
  disk.writeUInt16LE(0xaa55, sectorSize - 2);
  return disk;
}
