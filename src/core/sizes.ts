import { InvalidValue } from "./errors.ts";

/** The units of a size: steps of 1024. `GB` and its like are refused, for they mean two things. */
export type SizeUnit = "MiB" | "GiB" | "TiB";

/** A size as it is written in a config. @example "8 GiB" */
export type SizeText = `${number} ${SizeUnit}`;

/** A size that was read; `readAs` is there when the text was understood but should be written differently. */
export interface SizeRead {
  bytes: number;
  readAs?: SizeText;
}

export const MiB = 2 ** 20;
export const GiB = 2 ** 30;
export const TiB = 2 ** 40;

const bytesPerUnit: Record<SizeUnit, number> = { MiB, GiB, TiB };

/** What the JSON Schema says of a size; the parser says more. */
export const sizePattern = "^[0-9]+(\\.[0-9]+)? ?(MiB|GiB|TiB|M|G|T)$";

/**
 * Bytes of a size such as `8 GiB` or `512MiB`; `50G` counts as `50 GiB`.
 *
 * @throws InvalidValue for whatever is not a whole number of MiB above zero with a unit
 */
export function parseSize(value: unknown): number {
  return readSize(value).bytes;
}

/** As {@link parseSize}, and says so when the text was not written in full. */
export function readSize(value: unknown): SizeRead {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") throw notASize();
  if (/^\s*[+-]?\.?(nan|inf|infinity)\b/i.test(text)) {
    throw new InvalidValue("must be a finite size", "write a number and its unit, e.g. `8 GiB`");
  }
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  if (!match) throw notASize();
  const amount = Number(match[1]);
  const writtenUnit = match[2] ?? "";
  if (amount <= 0) throw new InvalidValue("must be more than zero", "write a size such as `8 GiB`");
  const unit = unitOf(amount, writtenUnit);
  const bytes = wholeMiB(amount * bytesPerUnit[unit]);
  return unit === writtenUnit ? { bytes } : { bytes, readAs: `${amount} ${unit}` };
}

/** A size for people: in the largest unit that fits, rounded down to two decimals. @example formatSize(1.5 * GiB) === "1.5 GiB" */
export function formatSize(bytes: number): SizeText {
  const unit = bytes >= TiB ? "TiB" : bytes >= GiB ? "GiB" : "MiB";
  return `${Math.floor((bytes / bytesPerUnit[unit]) * 100) / 100} ${unit}`;
}

/** The largest tidy size not above `bytes`, for a remedy that can be pasted: whole GiB, below 4 GiB whole MiB. */
export function sizeAtMost(bytes: number): SizeText {
  return bytes >= 4 * GiB ? `${Math.floor(bytes / GiB)} GiB` : `${Math.floor(bytes / MiB)} MiB`;
}

function unitOf(amount: number, written: string): SizeUnit {
  if (Object.hasOwn(bytesPerUnit, written)) return written as SizeUnit;
  if (written === "M" || written === "G" || written === "T") return `${written}iB`;
  if (written === "") {
    // Nobody means 16384 GiB, and nobody means a disk or a memory of 8 MiB.
    const likely = amount < 256 ? "GiB" : "MiB";
    throw new InvalidValue("must have a unit", `write \`${amount} ${likely}\` if that is what you mean`);
  }
  const rule = "must be in MiB, GiB or TiB (steps of 1024)";
  const letter = /^([mgt])i?b?$/i.exec(written)?.[1]?.toUpperCase();
  throw new InvalidValue(rule, letter ? `write \`${amount} ${letter}iB\`` : "write a size such as `8 GiB`");
}

function wholeMiB(bytes: number): number {
  if (!Number.isSafeInteger(Math.ceil(bytes))) {
    throw new InvalidValue("must be less than 8192 TiB", "write a size such as `8 GiB`");
  }
  if (bytes % MiB === 0) return bytes;
  const near = Math.max(1, Math.floor(bytes / MiB));
  throw new InvalidValue("must be a whole number of MiB", `write \`${near} MiB\` or \`${near + 1} MiB\``);
}

function notASize(): InvalidValue {
  return new InvalidValue("must be a size", "write a number and MiB, GiB or TiB, e.g. `8 GiB`");
}
