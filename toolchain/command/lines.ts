import { StringDecoder } from "node:string_decoder";

/** As much of a line as the official plugin's scanner takes, in bytes: at a longer one it reads no more, and waits for ever. */
export const longestLine = 64 * 1024 - 1;

/**
 * Cuts a stream of bytes into lines: `\n` and `\r\n` end one, a last one needs no end.
 *
 * @example const lines = new LineSplitter(console.log); lines.add(Buffer.from("a\nb")); lines.end() // "a", "b"
 */
export class LineSplitter {
  private readonly decoder = new StringDecoder("utf8");
  private readonly take: (line: string) => void;
  private readonly refuse: () => void;
  private rest = "";

  /**
   * @param take gets each line without its end
   * @param refuse is called at a line longer than {@link longestLine}
   */
  constructor(take: (line: string) => void, refuse: () => void = () => undefined) {
    this.take = take;
    this.refuse = refuse;
  }

  /** Takes what has come; a line or a character may go on in what comes next. */
  add(data: Buffer): void {
    const lines = (this.rest + this.decoder.write(data)).split("\n");
    if (lines.some((line) => Buffer.byteLength(line) > longestLine)) this.refuse();
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.take(line.replace(/\r$/, ""));
  }

  /** Says that no more will come. */
  end(): void {
    const last = this.rest + this.decoder.end();
    this.rest = "";
    if (last !== "") this.take(last.replace(/\r$/, ""));
  }
}
