import { type ProgressLog, recordLine, sayable } from "./records.ts";

/**
 * Prints what a step of an update has to say to its user. What a guest or a host has said in it does nothing to a terminal, and no
 * line is too long for the engine.
 */
export const say = (text: string): void => console.error(sayable(text));

/** The same for progress that is a record, where records are asked for. */
export const sayProgress: ProgressLog = (line, progress) =>
  progress ? console.error(recordLine(progress)) : say(line);
