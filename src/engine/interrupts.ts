import { UserError } from "../core/errors.ts";
import type { PulumiProcess } from "./pulumi-process.ts";

/** What ends a program from outside: Ctrl-C, `kill`, a terminal that is closed. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The work was interrupted, and ended in order. */
export class Interrupted extends UserError {}

/**
 * Does work that Ctrl-C ends in order: the first one asks the engine to finish what it has begun, a second one kills it.
 * Where no engine runs, the first one ends the program.
 */
export async function withInterrupts<T>(
  engine: PulumiProcess,
  log: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  let count = 0;
  const onSignal = () => {
    count++;
    if (!engine.isRunning) process.exit(1);
    if (count === 1) {
      log("interrupted: the engine ends what it has begun and releases its lock; once more kills it");
      engine.interrupt();
    } else {
      log("killed: what it was doing may be half done; the next command releases its lock and goes on from there");
      engine.kill();
    }
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work();
  } catch (error) {
    throw count > 0 ? new Interrupted("Interrupted.") : error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
