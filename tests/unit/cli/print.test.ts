import { afterEach, expect, test, vi } from "vitest";
import { printList } from "../../../cli/print.ts";
import { MiB } from "../../../src/core/sizes.ts";

afterEach(() => vi.restoreAllMocks());

const rows = [
  { name: "a", made: new Date("2026-03-14T15:09:26.500Z"), size: 1536 * MiB },
  { name: "longer", made: new Date("2026-03-15T00:00:00Z"), size: undefined },
];
const columns = {
  NAME: ({ name }: (typeof rows)[0]) => name,
  MADE: ({ made }: (typeof rows)[0]) => made,
  SIZE: ({ size }: (typeof rows)[0]) => size,
};

function printed(print: () => void): string | undefined {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  print();
  return log.mock.calls[0]?.[0];
}

test("a table for people: times in UTC, sizes with their unit", () => {
  expect(printed(() => printList(rows, columns, {}))).toBe(
    [
      "NAME    MADE                  SIZE",
      "a       2026-03-14 15:09:26Z  1.5 GiB",
      "longer  2026-03-15 00:00:00Z",
    ].join("\n"),
  );
});

test("JSON for programs: times as ISO 8601, sizes in bytes", () => {
  expect(JSON.parse(printed(() => printList(rows, columns, { json: true })) ?? "")).toEqual([
    { name: "a", made: "2026-03-14T15:09:26.500Z", size: 1536 * MiB },
    { name: "longer", made: "2026-03-15T00:00:00.000Z" },
  ]);
});

test("an empty list is no table", () => {
  expect(printed(() => printList([], columns, {}))).toBeUndefined();
});
