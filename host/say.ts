import { inspect } from "node:util";
import { printable, shortened } from "../config/printable.ts";

/** The most that a step prints of one line, in characters. At 64 KiB in a line Pulumi's command plugin waits for ever. */
const longestLine = 4096;

/**
 * Prints what a step of an update has to say to its user: progress, or an error. What a guest or a host has said in it does
 * nothing to a terminal, and no line is too long for the engine.
 */
export const say = (text: string): void => console.error(sayable(text));

/** A text as {@link say} prints it. */
export function sayable(text: string): string {
  const lines = printable(text).split("\n");
  return lines.map((line) => shortened(line, longestLine)).join("\n");
}

/** Prints why a step failed: what its user can act on without a stack trace, all else as the bug that it is. */
export const sayFailure = (error: unknown, isForUser: boolean): void =>
  say(isForUser ? (error as Error).message : inspect(error));
