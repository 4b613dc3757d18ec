import { describe, expect, test } from "vitest";
import { pauseAfter } from "../../../src/guest/in-time.ts";

describe("how long a guest is left alone between two questions", () => {
  test.each([
    [0, 300],
    [2_900, 300],
    [10_000, 1_000],
    [30_000, 3_000],
    [3_600_000, 3_000],
  ])("after %s ms of waiting: %s ms", (waited, pause) => {
    expect(pauseAfter(waited)).toBe(pause);
  });
});
