import { withoutGivenSecrets } from "./given-secrets.ts";

/**
 * Texts as they may reach a terminal. All that a guest, a host's program or a person's file brings into a message goes through
 * here: what a terminal would act on, or what makes a text look like another, is shown and does nothing.
 */

/** Control and format characters (C0, DEL, C1, bidi, joiners), halves of letters, and what is no character at all. */
const acting = /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** Colours: they are all over the logs of a boot, and say nothing without a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const colour = /\x1b\[[\d;]{0,20}m/g;

/** The end of a line with carriage returns before it, or those alone: of a long run of them each is looked at once. */
const lineEnd = /\r+\n?/g;

/** Of a piece of a log: what may be the first half of a colour, or of the end of a line, of which no more is held back. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const begun = /(?:\x1b(?:\[[\d;]{0,20})?|\r{1,20})$/;

/**
 * A text of one or more lines for a terminal, which may come to it by the engine: `<{%` begins a colour there.
 *
 * @example printable("\x1b[2Jgone") // "\\x1b[2Jgone"
 */
export function printable(text: string): string {
  const plain = text
    .replace(colour, "")
    .replace(lineEnd, (found) => (found.endsWith("\n") ? "\n" : found))
    .replaceAll("\t", "    ");
  const shown = plain.replace(acting, (found) => (found === "\n" ? found : visible(found)));
  // Once all is out of it that could stand in the middle of one.
  return withoutGivenSecrets(shown).replaceAll("<{%", "<\\x7b%");
}

/** The same on one line, whatever breaks are in it. */
export const printableLine = (text: string) => printable(text).replaceAll("\n", "\\n");

/** A text that comes in pieces, which may cut a colour or the end of a line in two. */
export class PrintablePieces {
  private held = "";

  /** What can be printed once this piece has come. */
  next(piece: string): string {
    const text = this.held + piece;
    this.held = begun.exec(text)?.[0] ?? "";
    return printable(text.slice(0, text.length - this.held.length));
  }

  /** What was held back, once no more comes. */
  end(): string {
    const rest = printable(this.held);
    this.held = "";
    return rest;
  }
}

/** A value as JSON for a terminal: the same value, with what would act there written as escapes of JSON. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? "null";
  return text.replace(acting, (found) => (found === "\n" ? found : [...utf16(found)].join("")));
}

/** At most so many characters of a text, and how many more there are. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length - most} more characters)`;
}

/** The end of a text, and how much there was before. */
export function endOf(text: string, most: number): string {
  return text.length <= most ? text : `(${text.length - most} characters before) …${text.slice(-most)}`;
}

/**
 * With their mark, lines of so many columns fit into the narrowest usual terminal, which would break longer ones without one, also
 * where Pulumi has put four blanks before them.
 */
const widest = 72;

/** Lines of another's text within a message, so that none of them looks like one of the message's own. */
export const indented = (lines: string) =>
  printable(lines)
    .split("\n")
    .flatMap(narrow)
    .map((line) => `  | ${line}`)
    .join("\n");

/** A line in pieces that are narrow enough, broken behind a blank where there is one. */
function narrow(line: string): string[] {
  const pieces: string[] = [];
  let [piece, columns] = ["", 0];
  for (const character of line) {
    columns += columnsOf(character);
    if (columns > widest) {
      const end = piece.lastIndexOf(" ") + 1 || piece.length;
      pieces.push(piece.slice(0, end));
      piece = piece.slice(end);
      columns = [...piece, character].reduce((sum, one) => sum + columnsOf(one), 0);
    }
    piece += character;
  }
  return [...pieces, piece];
}

/** Half of the world's characters are two columns wide; which, is the terminal's own idea. */
const columnsOf = (character: string) => (character <= "\x7e" ? 1 : 2);

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

function* utf16(text: string) {
  for (let i = 0; i < text.length; i++) yield `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`;
}
