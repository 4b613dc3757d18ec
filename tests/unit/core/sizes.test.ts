import { describe, expect, it } from "vitest";

import { formatSize, GiB, MiB, parseSize, readSize, sizeAtMost, sizePattern, TiB } from "../../../src/core/sizes.ts";
import { messageOf } from "../config/samples.ts";

describe("parseSize", () => {
  it.each([
    ["8 GiB", 8 * GiB],
    ["512MiB", 512 * MiB],
    ["  1.5   GiB ", 1536 * MiB],
    ["2 TiB", 2 * TiB],
    ["50G", 50 * GiB],
    ["1 MiB", MiB],
  ])("reads %j", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  const asked = "write a number and MiB, GiB or TiB, e.g. `8 GiB`";
  const finite = "must be a finite size: write a number and its unit, e.g. `8 GiB`";
  const positive = "must be more than zero: write a size such as `8 GiB`";
  const unit = "must be in MiB, GiB or TiB (steps of 1024)";
  it.each([
    [16, "must have a unit: write `16 GiB` if that is what you mean"],
    ["16", "must have a unit: write `16 GiB` if that is what you mean"],
    [16384, "must have a unit: write `16384 MiB` if that is what you mean"],
    ["50 GB", `${unit}: write \`50 GiB\``],
    ["50 gib", `${unit}: write \`50 GiB\``],
    ["50g", `${unit}: write \`50 GiB\``],
    ["50 parsecs", `${unit}: write a size such as \`8 GiB\``],
    ["50 constructor", `${unit}: write a size such as \`8 GiB\``],
    ["0 GiB", positive],
    [0, positive],
    ["-8 GiB", positive],
    [-1, positive],
    [Number.NaN, finite],
    ["NaN", finite],
    [".nan", finite],
    ["NaN GiB", finite],
    [".inf", finite],
    ["-Infinity", finite],
    [Number.POSITIVE_INFINITY, finite],
    ["0.3 GiB", "must be a whole number of MiB: write `307 MiB` or `308 MiB`"],
    ["0.1 MiB", "must be a whole number of MiB: write `1 MiB` or `2 MiB`"],
    ["9000 TiB", "must be less than 8192 TiB: write a size such as `8 GiB`"],
    ["eight", `must be a size: ${asked}`],
    ["8,5 GiB", `must be a size: ${asked}`],
    ["1e3 GiB", `must be a size: ${asked}`],
    ["", `must be a size: ${asked}`],
    [null, `must be a size: ${asked}`],
    [true, `must be a size: ${asked}`],
    [{ GiB: 8 }, `must be a size: ${asked}`],
  ])("refuses %j", (value, message) => {
    expect(messageOf(() => parseSize(value))).toBe(message);
  });

  it("says how it read a size whose unit was not written in full", () => {
    expect(readSize("50G")).toEqual({ bytes: 50 * GiB, readAs: "50 GiB" });
    expect(readSize("50 GiB")).toEqual({ bytes: 50 * GiB });
  });

  it("allows what the pattern of the JSON Schema allows", () => {
    expect("1.5 GiB").toMatch(new RegExp(sizePattern));
    expect("50G").toMatch(new RegExp(sizePattern));
    expect("50 GB").not.toMatch(new RegExp(sizePattern));
    expect("-8 GiB").not.toMatch(new RegExp(sizePattern));
  });
});

describe("formatSize", () => {
  it.each([
    [8 * GiB, "8 GiB"],
    [1536 * MiB, "1.5 GiB"],
    [8_232_640_512, "7.66 GiB"],
    [3 * TiB, "3 TiB"],
    [307 * MiB, "307 MiB"],
    [0, "0 MiB"],
  ])("%d is %s", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe("sizeAtMost", () => {
  it.each([8_232_640_512, 4 * GiB, 2_000_000_000, 300 * MiB])("can be written in a config (%d)", (bytes) => {
    expect(parseSize(sizeAtMost(bytes))).toBeLessThanOrEqual(bytes);
  });
});
