import { InvalidValue } from "../core/errors.ts";

/** How often backups of a project's disk are made, and how many are kept. */
export interface BackupSettings {
  /** @example "6h" */
  every: Interval;
  keep: number;
}

/** A time span: hours, days or weeks. @example "1d" */
export type Interval = `${number}${"h" | "d" | "w"}`;

/** What the JSON Schema says of an interval; the parser says more. */
export const intervalPattern = "^[1-9][0-9]*(h|d|w)$";

const secondsPer = { h: 3600, d: 86_400, w: 604_800 };
const longestDays = 365;

const everyRemedy = "write e.g. `6h`, `1d` or `1w`";

/**
 * How often backups are made: a whole number of hours, days or weeks, from `1h` to `365d`.
 *
 * @throws InvalidValue
 * @example parseEvery("1d")
 */
export function parseEvery(value: unknown): Interval {
  if (value === undefined) throw new InvalidValue("is missing", everyRemedy);
  const match = typeof value === "string" ? /^\s*(\d+)\s*([a-z]+)\s*$/i.exec(value) : undefined;
  const unit = match?.[2]?.toLowerCase() ?? "";
  if (!match) throw new InvalidValue("must be a number and h, d or w", everyRemedy);
  if (unit !== "h" && unit !== "d" && unit !== "w") {
    const rule = "must be in hours, days or weeks: h, d or w";
    const letter = /^(h|d|w)(ours?|rs?|ays?|eeks?|ks?)$/.exec(unit)?.[1];
    throw new InvalidValue(rule, letter ? `write \`${Number(match[1])}${letter}\`` : everyRemedy);
  }
  const interval: Interval = `${Number(match[1])}${unit}`;
  const seconds = intervalSeconds(interval);
  if (seconds < secondsPer.h) throw new InvalidValue("must be at least 1h", "write `1h` or more");
  if (seconds > longestDays * secondsPer.d) {
    throw new InvalidValue(`must be at most ${longestDays}d`, `write \`${longestDays}d\` or less`);
  }
  return interval;
}

/**
 * How many backups are kept: a whole number, at least one.
 *
 * @throws InvalidValue
 */
export function parseKeep(value: unknown): number {
  const remedy = "write a whole number without quotes, e.g. `7`";
  if (value === undefined) throw new InvalidValue("is missing", remedy);
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw new InvalidValue("must be a whole number", remedy);
  if (value < 1)
    throw new InvalidValue("must be at least 1", "write `1` or more, or remove `backup` to have none made");
  return value;
}

/** Seconds of an interval. @example intervalSeconds("1d") === 86400 */
export function intervalSeconds(interval: Interval): number {
  return Number.parseInt(interval, 10) * secondsPer[interval.slice(-1) as keyof typeof secondsPer];
}
