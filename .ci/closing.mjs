// Ends a run: what failed, with the last lines that it printed, and the figures. Plain Node: it runs too where nothing could be installed.
// node .ci/closing.mjs <exit status of the tests> <1 when anything was left behind, else 0>
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";

/** Lines of a failure that are repeated here; all of it stands where it happened. */
const shownLines = 15;

const [status, left] = process.argv.slice(2).map(Number);
const results = resultsIn("test-results");
const files = results.flatMap(({ testResults }) => testResults);
const tests = files.flatMap(({ name, assertionResults }) => assertionResults.map((test) => ({ ...test, file: name })));
const failures = [
  ...tests
    .filter((test) => test.status === "failed")
    .map(({ file, fullName, failureMessages }) => ({ file, what: fullName, message: failureMessages[0] })),
  ...files
    .filter((file) => file.status === "failed" && !file.assertionResults.length)
    .map(({ name, message }) => ({ file: name, what: "the whole file", message })),
];
for (const { file, what, message } of failures) {
  console.log(`failed: ${path.relative(process.cwd(), file)}: ${what}`);
  for (const line of lastLines(message)) console.log(`  ${line}`);
}
console.log("not run here: make long, make sweep, make others, make kills");
const passed = results.reduce((sum, { numPassedTests }) => sum + numPassedTests, 0);
// Something other than a test failed: the set-up, types, lint.
const failed = failures.length || (status === 0 ? 0 : 1);
console.log(`${passed} passed, ${failed + left} failed`);

function resultsIn(folder) {
  try {
    return readdirSync(folder).map((file) => JSON.parse(readFileSync(path.join(folder, file), "utf8")));
  } catch {
    return [];
  }
}

/** Those before the stack. */
function lastLines(message = "") {
  const [text] = stripVTControlCharacters(message).split(/\n\s+at /);
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-shownLines);
}
