import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { secondsLines } from "../../setup/seconds-reporter.ts";
import { readSeconds, recordSeconds, slowestFirst, usual } from "../../setup/slowest-first.ts";

const dir = mkdtempSync(path.join(tmpdir(), "seconds-"));
const file = path.join(dir, "cache", "seconds.json");
afterAll(() => rmSync(dir, { recursive: true }));

test("what each file took is printed with the slowest first, and what all took", () => {
  expect(secondsLines({ "a.test.ts": 1.4, "b.test.ts": 734.6, "c.test.ts": 60 })).toEqual([
    "   735 s  b.test.ts",
    "    60 s  c.test.ts",
    "     1 s  a.test.ts",
    "   796 s  3 files, one after another",
  ]);
});

test("the slowest comes first, after those that nobody knows of", () => {
  const files = ["short", "new", "long", "newer"];
  expect(slowestFirst(files, (name) => name, { short: 1, long: 9 })).toEqual(["new", "newer", "long", "short"]);
});

test("on a machine that has run none yet, what each end-to-end file takes is known", () => {
  const files = readdirSync("tests/e2e").filter((name) => name.endsWith(".test.ts") && !name.endsWith(".long.test.ts"));
  expect(Object.keys(usual).sort()).toEqual(files.map((name) => `tests/e2e/${name}`).sort());
});

test("what was recorded is kept and added to, and a damaged record is none", () => {
  expect(readSeconds(file)).toEqual({});
  recordSeconds({ a: 1, b: 2 }, file);
  recordSeconds({ b: 3 }, file);
  expect(readSeconds(file)).toEqual({ a: 1, b: 3 });
  expect(readdirSync(path.dirname(file))).toEqual(["seconds.json"]);
  writeFileSync(file, '{"a": "one", "b": 2}');
  expect(readSeconds(file)).toEqual({ b: 2 });
  writeFileSync(file, '{"a": 1');
  expect(readSeconds(file)).toEqual({});
});
