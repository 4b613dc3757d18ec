import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type Note, readNote, writeNote } from "../../ci/note.ts";

const files = Object.fromEntries(Array.from({ length: 25_000 }, (_, index) => [`/home/me/${index}`, `${index}`]));
const note: Note = {
  census: { file: { ...files, "/a\nb\u2028ü": "1 2" }, process: { "40: sleep": "40" } },
  upgrades: 2,
  roots: ["/", "/home"],
};

test("what there was before is written line by line, so that no text has all files, and read as it was", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "note-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = path.join(dir, "note.json");
  writeNote(file, note);
  expect(await readNote(file)).toEqual(note);
  const lengths = readFileSync(file, "utf8")
    .split("\n")
    .map((line) => line.length);
  expect(lengths.length).toBe(1 + 25_001 + 1 + 1);
  expect(Math.max(...lengths)).toBeLessThan(60);
});

test("one that could not be written whole is none", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "note-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = path.join(dir, "note.json");
  writeNote(file, note);
  expect(() => writeNote(file, { ...note, census: { file: { a: 1n as unknown as string } } })).toThrow(TypeError);
  expect(await readNote(file)).toEqual(note);
});
