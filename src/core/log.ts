/** Takes a line of progress. */
export type Log = (line: string) => void;
