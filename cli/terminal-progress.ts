import { onExit } from "signal-exit";
import { log as logLine, timed } from "../src/core/progress.ts";
import type { VmProgress } from "../src/core/records.ts";
import { Waiting } from "./waiting.ts";

/** How often the line that moves is drawn, in milliseconds. */
const frameMilliseconds = 120;
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** What of a terminal's stream is needed here. */
interface Terminal {
  columns?: number;
  write(text: string): boolean;
}

/**
 * Prints lines of progress on a terminal and, below them, one that moves and says what is waited for. It makes way at once
 * when anything else is printed, and comes back with the next line of progress.
 */
export class TerminalProgress {
  private readonly waiting = new Waiting();
  private frame = 0;
  private makeWay: (() => void) | undefined;

  private readonly terminal: Terminal;
  private readonly others: Pick<Terminal, "write">[];

  /** @param others streams that may be the same terminal */
  constructor(terminal: Terminal, others: Pick<Terminal, "write">[] = []) {
    this.terminal = terminal;
    this.others = others;
  }

  log(line: string, progress?: VmProgress): void {
    this.clear();
    if (!progress || !this.waiting.heard(progress)) this.terminal.write(`${timed(line)}\n`);
    this.show();
  }

  /** Takes the moving line away. */
  clear(): void {
    this.makeWay?.();
  }

  private show(): void {
    const write = this.terminal.write.bind(this.terminal);
    const draw = () => write(`\r${this.movingLine()}\x1b[K`);
    draw();
    // It holds up nothing that ends, and goes with it.
    const timer = setInterval(draw, frameMilliseconds).unref();
    const clear = () => this.clear();
    const restores = [this.terminal, ...this.others].map((stream) => beforeNextWrite(stream, clear));
    // A signal that nobody makes something of still ends the program: those who only clean up then, as locks do, are no such body.
    const goOn = onExit(clear);
    this.makeWay = () => {
      this.makeWay = undefined;
      clearInterval(timer);
      goOn();
      for (const restore of restores) restore();
      write("\r\x1b[K");
    };
  }

  private movingLine(): string {
    const line = `${frames[this.frame++ % frames.length]} ${timed(this.waiting.describe() ?? "")}`;
    // One that is too long would go on in a line of its own, which would stay.
    return line.trimEnd().slice(0, Math.max((this.terminal.columns ?? 80) - 1, 0));
  }
}

/** Calls something when a stream is written to next. @returns what takes that back */
function beforeNextWrite(stream: Pick<Terminal, "write">, call: () => void): () => void {
  const own = Object.getOwnPropertyDescriptor(stream, "write");
  stream.write = (...args) => {
    call(); // which takes this back
    return stream.write(...args);
  };
  return () => {
    if (own) Object.defineProperty(stream, "write", own);
    else Reflect.deleteProperty(stream, "write");
  };
}

const isTerminal = process.stderr.isTTY === true && process.env.TERM !== "dumb";
const progress = isTerminal
  ? new TerminalProgress(process.stderr, process.stdout.isTTY ? [process.stdout] : [])
  : undefined;

/** Prints a line of progress: on a terminal with one below it that moves, elsewhere by itself. */
export function log(line: string, record?: VmProgress): void {
  if (progress) progress.log(line, record);
  else logLine(line);
}
