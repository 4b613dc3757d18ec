/** A number of things, in words. @example counted(2, "snapshot") // "2 snapshots" */
export const counted = (number: number, thing: string) => `${number} ${thing}${number === 1 ? "" : "s"}`;
