import { printable } from "./printable.ts";

const started = Number(process.env.MAKE_STARTED || 0) * 1000 || Date.now();

/** Whole seconds since the user's command began, preparation included. */
export const secondsPassed = () => Math.round((Date.now() - started) / 1000);

/** Prints a line of progress with the time passed; to stderr, since stdout belongs to what a command answers. */
export function log(line: string): void {
  process.stderr.write(`${timed(line)}\n`);
}

/** A line with the time passed before it, as it may be printed. */
export function timed(line: string): string {
  const seconds = secondsPassed();
  const clock = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
  return printable(`${clock}  ${line}`);
}
