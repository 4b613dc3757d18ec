import { afterEach, expect, test, vi } from "vitest";
import { asDocuments } from "../../../cli/logs.ts";

afterEach(() => vi.restoreAllMocks());

/** What is printed when a log comes in these pieces. */
function printed(hasMore: boolean, ...pieces: string[]): string[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  const print = asDocuments(hasMore);
  for (const piece of pieces) print(piece);
  return log.mock.calls.map(([text]) => String(text));
}

test("a log that is followed comes in documents of whole lines", () => {
  expect(printed(true, "one\ntw", "o", "\n\nthree\nfo")).toEqual(['{"lines":["one"]}', '{"lines":["two","","three"]}']);
});

test("one that is not is one document, with the line that has not ended", () => {
  expect(printed(false, "one\ntwo")).toEqual(['{"lines":["one","two"]}']);
});

test("of nothing too", () => {
  expect(printed(false, "")).toEqual(['{"lines":[]}']);
});
