/** What the official plugin shows where the API gives no time. */
const noTime = "0001-01-01T00:00:00Z";

/** A time as the official plugin writes it: RFC 3339, to the second. */
export function rfc3339(time: unknown): string {
  if (typeof time !== "string" || Number.isNaN(Date.parse(time))) return noTime;
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}

const milliseconds: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Reads a duration as Go writes them.
 *
 * @returns milliseconds, or undefined if it is none
 * @example parseDuration("1m30s") // 90000
 */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(amount) * (milliseconds[unit] ?? 0);
  }
  return sum;
}
