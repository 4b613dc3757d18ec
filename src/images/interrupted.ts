import { rmSync } from "node:fs";
import { constants } from "node:os";

/** How often a program looks whether its shell is still there, in milliseconds. */
const shellWatchInterval = 500;

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** All that is to be done on the way out listens to "exit", which a signal alone would pass over. */
const leave = (signal: NodeJS.Signals) => process.exit(128 + constants.signals[signal]);

/**
 * Removes files and folders when this process is ended before its work is done, by Ctrl-C for one.
 *
 * @param stop ends what still writes there
 * @returns what calls that off
 */
export function removeWhenInterrupted(paths: string[], stop: () => void = () => undefined): () => void {
  const remove = () => {
    stop();
    // Its last processes may still be dying.
    for (const path of paths) rmSync(path, { recursive: true, force: true, maxRetries: 20 });
  };
  process.on("exit", remove);
  for (const signal of signals) process.on(signal, leave);
  return () => {
    process.off("exit", remove);
    for (const signal of signals) process.off(signal, leave);
  };
}

/**
 * Ends this process in order when the shell that started it has been killed: that is all that Pulumi's command plugin does when a
 * step is cancelled or takes too long, and it then waits until this process is gone.
 *
 * @param shell the shell's process id; it may have been killed while this process started
 */
export function endWithShell(shell = process.ppid): void {
  removeWhenInterrupted([]);
  setInterval(() => process.ppid !== shell && leave("SIGTERM"), shellWatchInterval).unref();
}
