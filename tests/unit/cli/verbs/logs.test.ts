import { expect, test } from "vitest";
import { documentsOfLines, oneDocument } from "../../../../cli/verbs/logs.ts";

/** What is printed when a log comes in these pieces. */
function printed(documents: typeof oneDocument, ...pieces: string[]): string {
  let text = "";
  const { print, end } = documents((more) => {
    text += more;
  });
  for (const piece of pieces) print(piece);
  end();
  return text;
}

test("a log that is followed comes in documents of whole lines", () => {
  expect(printed(documentsOfLines, "one\ntw", "o", "\n\nthree\nfo")).toBe(
    '{"lines":["one"]}\n{"lines":["two","","three"]}\n',
  );
});

test.each([
  [["one\ntwo"], ["one", "two"]],
  [
    ["on", "e\n", "", "tw", "o\n\n", "three"],
    ["one", "two", "", "three"],
  ],
  [["one\n"], ["one"]],
  [["\n"], [""]],
  [[""], []],
  [[], []],
])("one that is not, in the pieces %j, is one document of the lines %j", (pieces, lines) => {
  expect(printed(oneDocument, ...pieces)).toBe(`${JSON.stringify({ lines })}\n`);
});

test("a line without end is not held in memory", () => {
  const piece = "x".repeat(2 ** 19);
  const documents = printed(documentsOfLines, piece, piece, piece, "y\n").trimEnd().split("\n");
  expect(
    documents.map((document) => (JSON.parse(document) as { lines: string[] }).lines.map((line) => line.length)),
  ).toEqual([[3 * 2 ** 19], [1]]);
});
