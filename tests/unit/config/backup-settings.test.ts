import { describe, expect, it } from "vitest";
import { intervalPattern, intervalSeconds, parseEvery, parseKeep } from "../../../src/config/backup-settings.ts";
import { messageOf } from "./samples.ts";

const example = "write e.g. `6h`, `1d` or `1w`";
const unit = "must be in hours, days or weeks: h, d or w";

describe("how often", () => {
  it.each([
    ["1h", "1h", 3600],
    ["6h", "6h", 21_600],
    ["24h", "24h", 86_400],
    ["1d", "1d", 86_400],
    ["1w", "1w", 604_800],
    ["365d", "365d", 31_536_000],
    [" 012 H ", "12h", 43_200],
  ])("%j is %s, %d s", (written, interval, seconds) => {
    const read = parseEvery(written);
    expect(read).toBe(interval);
    expect(intervalSeconds(read)).toBe(seconds);
    expect(read).toMatch(new RegExp(intervalPattern));
  });

  it.each([
    [undefined, `is missing: ${example}`],
    [null, `must be a number and h, d or w: ${example}`],
    [6, `must be a number and h, d or w: ${example}`],
    ["6", `must be a number and h, d or w: ${example}`],
    ["", `must be a number and h, d or w: ${example}`],
    ["daily", `must be a number and h, d or w: ${example}`],
    ["1.5h", `must be a number and h, d or w: ${example}`],
    ["-1d", `must be a number and h, d or w: ${example}`],
    ["1h 30m", `must be a number and h, d or w: ${example}`],
    ["30m", `${unit}: ${example}`],
    ["1y", `${unit}: ${example}`],
    ["6 hours", `${unit}: write \`6h\``],
    ["2days", `${unit}: write \`2d\``],
    ["1 Week", `${unit}: write \`1w\``],
    ["0h", "must be at least 1h: write `1h` or more"],
    ["366d", "must be at most 365d: write `365d` or less"],
    ["53w", "must be at most 365d: write `365d` or less"],
    ["99999999999999999999h", "must be at most 365d: write `365d` or less"],
  ])("%j is refused", (written, message) => {
    expect(messageOf(() => parseEvery(written))).toBe(message);
  });
});

describe("how many", () => {
  it.each([1, 7, 1000])("%d", (keep) => {
    expect(parseKeep(keep)).toBe(keep);
  });

  const whole = "write a whole number without quotes, e.g. `7`";
  it.each([
    [undefined, `is missing: ${whole}`],
    ["7", `must be a whole number: ${whole}`],
    [1.5, `must be a whole number: ${whole}`],
    [Number.NaN, `must be a whole number: ${whole}`],
    [Number.POSITIVE_INFINITY, `must be a whole number: ${whole}`],
    [0, "must be at least 1: write `1` or more, or remove `backup` to have none made"],
    [-3, "must be at least 1: write `1` or more, or remove `backup` to have none made"],
  ])("%j is refused", (written, message) => {
    expect(messageOf(() => parseKeep(written))).toBe(message);
  });
});
