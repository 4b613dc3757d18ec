import { styleText } from "node:util";
import { printableJson, printableLine } from "../src/core/printable.ts";
import { formatSize } from "../src/core/sizes.ts";

/** What stands in a cell: a text, a point in time, or a size in bytes. */
type Cell = string | Date | number | undefined | Coloured;

/** A text that has a colour where colours can be seen. */
interface Coloured {
  text: string;
  colour: Colour;
}

export type Colour = "green" | "yellow" | "red" | "dim";

/** Prints an answer for programs, as `--json` has it: one document. */
export const printJson = (answer: unknown) => console.log(printableJson(answer, 2));

/**
 * Prints a list: with `json` as JSON, else as a table with these columns. Of an empty list there is no table.
 *
 * @example printList(backups, { NAME: ({ name }) => name }, { json: true })
 */
export function printList<Row>(
  rows: Row[],
  columns: Record<string, (row: Row) => Cell>,
  { json }: { json?: true },
): void {
  if (json) printJson(rows);
  else if (rows.length > 0) console.log(table(rows, columns));
}

/** Prints one thing: with `json` as JSON, else its facts, a line each, without those that are not known. */
export function printFacts(value: object, facts: Record<string, Cell>, { json }: { json?: true }): void {
  if (json) {
    printJson(value);
    return;
  }
  const known = Object.entries(facts).filter(([, cell]) => cell !== undefined && cell !== "");
  const width = Math.max(...known.map(([name]) => name.length));
  console.log(known.map(([name, cell]) => `${name.padEnd(width)}  ${coloured(cell, textOf(cell))}`).join("\n"));
}

function table<Row>(rows: Row[], columns: Record<string, (row: Row) => Cell>): string {
  const lines: Cell[][] = [Object.keys(columns), ...rows.map((row) => Object.values(columns).map((cell) => cell(row)))];
  const widths = Object.keys(columns).map((_, i) => Math.max(...lines.map((line) => textOf(line[i]).length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => coloured(cell, textOf(cell).padEnd(widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Times are UTC, as they are in the names of backups. @example "2026-03-14 15:09:26Z" */
export const timeText = (time: Date) => time.toISOString().replace("T", " ").replace(/\.\d+/, "");

function textOf(cell: Cell): string {
  if (cell instanceof Date) return timeText(cell);
  if (typeof cell === "object") return printableLine(cell.text);
  return typeof cell === "number" ? formatSize(cell) : printableLine(cell ?? "");
}

const coloured = (cell: Cell, text: string) =>
  typeof cell === "object" && "colour" in cell ? inColour(text, cell.colour) : text;

/** A text in a colour, on a terminal, and only where nobody has asked for none: https://no-color.org */
export function inColour(text: string, colour: Colour): string {
  const isWanted = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  return isWanted ? styleText(colour, text) : text;
}
