import { expect, test } from "vitest";
import { LineSplitter } from "../../../toolchain/command/lines.ts";

test.each<[string, Buffer[], string[]]>([
  ["lines", [Buffer.from("a\nb\n")], ["a", "b"]],
  ["a line in two parts", [Buffer.from("a"), Buffer.from("b\nc")], ["ab", "c"]],
  ["carriage returns", [Buffer.from("a\r\nb\r"), Buffer.from("\n")], ["a", "b"]],
  ["a character in two parts", [Buffer.from([0xc3]), Buffer.from([0xbc, 0x0a])], ["ü"]],
  ["empty lines", [Buffer.from("\n\na")], ["", "", "a"]],
  ["nothing", [], []],
])("%s", (_, parts, expected) => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const part of parts) splitter.add(part);
  splitter.end();
  expect(lines).toEqual(expected);
});
