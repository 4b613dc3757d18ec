import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The processes of this machine, as proc(5) tells of them; each may end in between. */

export const allPids = () =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);

/** Where a link of a process leads; undefined where it ended, or is another user's, which only root can read. */
export function linkOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** What a process's file says; nothing where it ended. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
