import { closeSync, createReadStream, openSync, renameSync, writeFileSync } from "node:fs";
import type { Census } from "./census.ts";

/** What there was before a run. */
export interface Note {
  census: Census;
  upgrades: number;
  roots: string[];
}

/** So many things are written at once. */
const batch = 10_000;

/** Writes a note, a line of JSON for each thing: as one text a machine's files may be more than a string can hold. */
export function writeNote(file: string, { census, ...rest }: Note): void {
  const part = `${file}.part`; // a run that is killed meanwhile leaves no half of one
  const out = openSync(part, "w");
  try {
    writeFileSync(out, `${JSON.stringify(rest)}\n`);
    for (const [kind, things] of Object.entries(census)) {
      const all = Object.entries(things);
      for (let done = 0; done < all.length; done += batch) {
        const lines = all.slice(done, done + batch).map((thing) => `${JSON.stringify([kind, ...thing])}\n`);
        writeFileSync(out, lines.join(""));
      }
    }
  } finally {
    closeSync(out);
  }
  renameSync(part, file);
}

/** Reads what {@link writeNote} wrote; a kind of which there was nothing is left out. */
export async function readNote(file: string): Promise<Note> {
  const census: Census = {};
  let head: Omit<Note, "census"> | undefined;
  let begun = "";
  for await (const chunk of createReadStream(file, "utf8")) {
    const lines = `${begun}${chunk}`.split("\n");
    begun = lines.pop() ?? "";
    for (const line of lines) {
      const value = JSON.parse(line);
      if (head === undefined) {
        head = value;
        continue;
      }
      const [kind, name, mark] = value as [string, string, string];
      census[kind] ??= {};
      census[kind][name] = mark;
    }
  }
  if (head === undefined) throw new Error(`${file} has no note of what there was before the tests: run "before" first`);
  return { ...head, census };
}
