import { expect, test } from "vitest";
import { benchSettings } from "../../../bench/settings.ts";

test.each([
  [{}, { sizes: [1, 20, 50], boot: true }],
  [
    { BENCH_SIZES: "1, 20", BENCH_BOOT: "no" },
    { sizes: [1, 20], boot: false },
  ],
  [{ BENCH_SIZES: "" }, { sizes: [], boot: true }],
])("reads %o", (environment, settings) => expect(benchSettings(environment)).toEqual(settings));

test("refuses what it does not know, all at once", () => {
  expect(() => benchSettings({ BENCH_SIZES: "1,many", BENCH_BOOT: "maybe" })).toThrow(
    [
      "The bench cannot be run so.",
      '  - BENCH_SIZES: must be numbers of VMs, from 1 to 200, but is "1,many"',
      "    write e.g. BENCH_SIZES=1,20,50",
      '  - BENCH_BOOT: must be yes or no, but is "maybe"',
      "    write BENCH_BOOT=no to boot no VM",
    ].join("\n"),
  );
});
