/** Control sequences that a screen follows; colours and modes are let pass. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with one
const sequence = /^\x1b\[([?>]?)([\d;]*)([A-Za-z])/;

/**
 * What a terminal shows after a program has written to it: its lines, without blanks behind them or below. As much of a terminal as
 * the programs here use: it ends with an error at what it does not know. No line is so long that it would go on below.
 */
export function screenOf(written: string): string[] {
  const lines: string[][] = [[]];
  let [row, column] = [0, 0];
  const line = () => {
    while (lines.length <= row) lines.push([]);
    return lines[row] as string[];
  };
  const moves: Record<string, (count: number) => void> = {
    A: (count) => (row = Math.max(row - (count || 1), 0)),
    B: (count) => (row += count || 1),
    C: (count) => (column += count || 1),
    D: (count) => (column = Math.max(column - (count || 1), 0)),
    G: (count) => (column = (count || 1) - 1),
    J: (what) => erase(what, "J"),
    K: (what) => erase(what, "K"),
    m: () => undefined,
  };
  function erase(what: number, kind: "J" | "K"): void {
    if (what !== 0 && !(what === 2 && kind === "K")) throw new Error(`the screen cannot erase by ${what}${kind}`);
    line().splice(what === 0 ? column : 0);
    if (kind === "J") lines.splice(row + 1);
  }
  for (let rest = written; rest !== ""; ) {
    const [whole, isMode, count = "", kind = ""] = sequence.exec(rest) ?? [];
    if (whole !== undefined) {
      const move = isMode ? () => undefined : moves[kind];
      if (!move) throw new Error(`the screen does not know ${JSON.stringify(whole)}`);
      move(Number(count.split(";")[0]));
      rest = rest.slice(whole.length);
      continue;
    }
    const [char = ""] = rest;
    rest = rest.slice(char.length);
    if (char === "\n") row++;
    else if (char === "\r") column = 0;
    else if (char === "\b") column = Math.max(column - 1, 0);
    else if (char < " ") throw new Error(`the screen does not know ${JSON.stringify(char)}`);
    else put(line(), column++, char);
  }
  const shown = lines.map((chars) => chars.join("").trimEnd());
  return shown.slice(0, shown.findLastIndex((text) => text !== "") + 1);
}

function put(line: string[], column: number, char: string): void {
  while (line.length < column) line.push(" ");
  line[column] = char;
}
