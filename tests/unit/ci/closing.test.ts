import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { beforeEach, expect, onTestFinished, test } from "vitest";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "closing-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
});

async function closing(results: Record<string, object>, status: number, left = 0): Promise<string> {
  const folder = path.join(dir, "test-results");
  mkdirSync(folder);
  for (const [name, result] of Object.entries(results))
    writeFileSync(path.join(folder, `${name}.json`), JSON.stringify(result));
  const args = [path.resolve(".ci/closing.mjs"), String(status), String(left)];
  return (await execa(process.execPath, args, { cwd: dir })).stdout;
}

const fileOf = (name: string, assertionResults: object[], more: object = {}) => ({
  name: path.join(dir, "tests", name),
  status: "failed",
  assertionResults,
  ...more,
});

const notRun = "not run here: make long, make sweep, make others, make kills";

test("a green run ends with what passed", async () => {
  const passed = {
    numPassedTests: 3,
    testResults: [fileOf("a.test.ts", [{ status: "passed" }], { status: "passed" })],
  };
  expect(await closing({ unit: passed, e2e: { ...passed, numPassedTests: 4 } }, 0)).toBe(
    `${notRun}\n7 passed, 0 failed`,
  );
});

test("what failed is named at the end, with its last lines and without its stack", async () => {
  const output = Array.from({ length: 30 }, (_, index) => `\u001b[31mline ${index}\u001b[39m`).join("\n");
  const failureMessages = [
    `AssertionError: ${output}\n\n: expected 255 to be 0\n    at again (/x/y.ts:26:3)\n    at z`,
  ];
  const test = { status: "failed", fullName: "a destroy that is killed", failureMessages };
  const cut = fileOf("b.test.ts", [], { message: "SyntaxError: odd" });
  const e2e = { numPassedTests: 1, testResults: [fileOf("a.test.ts", [{ status: "passed" }, test]), cut] };
  const lines = (await closing({ e2e }, 2, 1)).split("\n");
  expect(lines.slice(0, 2)).toEqual(["failed: tests/a.test.ts: a destroy that is killed", "  line 16"]);
  expect(lines.slice(15)).toEqual([
    "  : expected 255 to be 0",
    "failed: tests/b.test.ts: the whole file",
    "  SyntaxError: odd",
    notRun,
    "1 passed, 3 failed",
  ]);
});

test("a run that failed before its tests has failed", async () => {
  expect(await closing({}, 2)).toBe(`${notRun}\n0 passed, 1 failed`);
});
