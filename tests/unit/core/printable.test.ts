import { describe, expect, test } from "vitest";
import { factOf, UserError } from "../../../src/core/errors.ts";
import { PrintablePieces, printable, printableJson, printableLine } from "../../../src/core/printable.ts";

/** A terminal of its own would be cleared, renamed, or made to show something else. */
describe("a text for a terminal", () => {
  test.each([
    ["plain, in lines\nof a log", "plain, in lines\nof a log"],
    ["\x1b]0;owned\x07", "\\x1b]0;owned\\x07"],
    ["\x1b[2J\x1b[1;1HREADY\x1b[8m", "\\x1b[2J\\x1b[1;1HREADY"],
    ["\x1b[0;1;32m  OK  \x1b[0m started", "  OK   started"],
    ["\x9b2J\x9d0;t\x9c", "\\x9b2J\\x9d0;t\\x9c"],
    ["a\x7f\x00b", "a\\x7f\\x00b"],
    ["one\r\ntwo\r\r\nthree", "one\ntwo\nthree"],
    ["50%\r100%", "50%\\x0d100%"],
    ["a\tb", "a    b"],
    ["\u202egpj.exe\u2066", "\\u{202e}gpj.exe\\u{2066}"],
    ["a\u200bb\ufeff", "a\\u{200b}b\\u{feff}"],
    ["a\u2028b", "a\\u{2028}b"],
    ["\ud83d", "\\u{d83d}"],
    ["<{%fg 2%}>READY<{%reset%}>", "<\\x7b%fg 2%}>READY<\\x7b%reset%}>"],
    ["größer 日本 🙂", "größer 日本 🙂"],
  ])("%j is shown as %j", (text, shown) => expect(printable(text)).toBe(shown));

  test("of carriage returns without end is shown in time linear to it", () => {
    expect(printable("\r".repeat(200_000))).toBe("\\x0d".repeat(200_000));
    expect(printable(`${"\r".repeat(200_000)}\n`)).toBe("\n");
    const pieces = new PrintablePieces();
    const held = pieces.next("\r".repeat(200_000)).length + pieces.end().length;
    expect(held).toBe(4 * 200_000);
  });

  test("on one line is one, whatever breaks are in it", () => {
    expect(printableLine("a\nREADY app\r\nb")).toBe("a\\nREADY app\\nb");
  });

  test("as JSON is the same value", () => {
    const value = { "\u202e": "\x9b2J\x7f\n\u2028", list: ["\ud83d", "🙂"] };
    const text = printableJson(value, 2);
    expect(text).not.toMatch(/[\x7f-\x9f\u202e\u2028]/);
    expect(JSON.parse(text)).toEqual(value);
  });

  test("in an error's value, rule and title does nothing either", () => {
    const { message } = new UserError("of\x1b[2J it", [
      { path: "p\x9b", rule: "r\u202e", value: "\x7f\x1b", remedy: "m\x07" },
    ]);
    expect(message).toBe('of\\x1b[2J it\n  - p\\x9b: r\\u{202e}, but is "\\u007f\\u001b"\n    m\\x07');
  });

  test("nor makes lines of its own, but for what a program said", () => {
    const line = "\nREADY web";
    const issue = { path: `p${line}`, rule: `r${line}`, value: `v${line}`, said: `s${line}`, remedy: `m${line}` };
    const { message, issues } = new UserError("of it", [issue]);
    expect(message).toBe(
      'of it\n  - p\\nREADY web: r\\nREADY web, but is "v\\nREADY web"; it says:\n  | s\n  | READY web\n    m\\nREADY web',
    );
    expect(issues).toEqual([{ ...issue, path: "p\\nREADY web", rule: "r\\nREADY web", remedy: "m\\nREADY web" }]);
    expect(factOf(issue)).toBe('p\\nREADY web: r\\nREADY web, but is "v\\nREADY web"');
  });
});

describe("a log that comes in pieces", () => {
  const shown = (...pieces: string[]) => {
    const log = new PrintablePieces();
    return [...pieces.map((piece) => log.next(piece)), log.end()].join("");
  };
  const log = "a\x1b[0;32mgreen\x1b[0m\r\n\x1b]0;owned\x07\x1b[2J\r\x1b";
  test("is shown as if it came at once, wherever it is cut", () => {
    const whole = printable(log);
    expect(whole).toBe("agreen\n\\x1b]0;owned\\x07\\x1b[2J\\x0d\\x1b");
    for (let at = 0; at <= log.length; at++) expect(shown(log.slice(0, at), log.slice(at))).toBe(whole);
    expect(shown(...log)).toBe(whole);
  });

  test("holds nothing back for long: what is no beginning of a colour comes at once", () => {
    expect(new PrintablePieces().next(`\x1b[${"1;".repeat(50)}`)).toBe(`\\x1b[${"1;".repeat(50)}`);
  });
});
