const sectorSize = 512;

/** What kvm-guest.S is assembled to, without the zeros at its end and the boot sector's mark. */
const code = [
  "+jHAjtiOwI7QvAB86hF8AAC/ABC5ADDzq8cGABAHIMcGACAHMMcGADCHAGa4ABAAAA8i2A8g4GYNoAAAAA8i4Ga5gAAAwA8yZg0B",
  "AQAADzAPARZQfQ8gwGYNAQAAgA8iwOpmfAgAuBAAAACO2I7AjtC8AHwAAL8wQAAAuAN9AADobwAAAL/gQAAAuAd9AADoYAAAAA8B",
  "HCVWfQAAxwQlBGAAAABwAAC4KAAAAA8A2LmBAADAMcC6CAATAA8w/8G46nwAADHSDzAx28yKBCUAAEAAueB8AABBuwIAAABIDwfM",
  "igQlAABAAA8FZrr0AIjY7vTr/Q0AAAgAiQfHRwQA7gAAw//DSM+DwxBYSIMEJAdIz2YPH0QAAAAAAAAAAAAAAAAAAACaIAAAAAAA",
  "AJIAAAAAAAAA8gAAAAAAAAD6IABnAABgAIkAAAAAAAAAAAAANwAYfQAA/w8AQA==",
].join("");

/** The boot sector of the guest that {@link kvmWorks} runs: kvm-guest.S, assembled. */
export function kvmGuest(): Buffer {
  const sector = Buffer.alloc(sectorSize);
  Buffer.from(code, "base64").copy(sector);
  sector.writeUInt16LE(0xaa55, sectorSize - 2);
  return sector;
}

/** What the guest reports if all of it worked. */
export const kvmGuestAnswer = 0x22;
