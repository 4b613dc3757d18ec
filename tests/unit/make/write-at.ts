import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * Writes a file of a state, with the folders above it.
 *
 * @param second of the file's own time, after the first of January 2026
 * @returns its path
 */
export function writeAt(place: string, content: string | Buffer, second: number): string {
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, content);
  const time = Date.parse("2026-01-01T00:00:00Z") / 1000 + second;
  utimesSync(place, time, time);
  return place;
}
