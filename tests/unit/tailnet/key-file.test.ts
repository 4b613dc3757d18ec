import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { readKeyFile } from "../../../src/tailnet/key-file.ts";
import { messageOf } from "../config/samples.ts";

const dir = mkdtempSync(path.join(tmpdir(), "key-file-"));
const file = path.join(dir, "key");
afterAll(() => rmSync(dir, { recursive: true }));

function put(text: string, mode = 0o600): string {
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}
const place = "Pulumi.local.yaml: tailnet.keyFile";
const refusal = (fact: string, remedy: string, of = file) =>
  `The tailnet's key cannot be used.\n  - ${place}: ${fact}, but is "${of}"\n    ${remedy}`;

test("a key is read without the line break behind it", () => {
  expect(readKeyFile(put("tskey-auth-x\n"), place)).toBe("tskey-auth-x");
});

test.each([
  ["readable by others", () => put("tskey", 0o644), "must be readable by its owner alone", `run: chmod 600 ${file}`],
  ["empty", () => put(" \n"), "must hold a key, but is empty", "write an auth key into it"],
  [
    "of something else",
    () => put("# my keys\ntskey\n"),
    "must hold one key and nothing else (not shown)",
    "write an auth key into it, alone",
  ],
])("a file %s is refused", (_, make, fact, remedy) => {
  expect(messageOf(() => readKeyFile(make(), place))).toBe(refusal(fact, remedy));
});

test("so is one that is not there, and a folder", () => {
  const missing = path.join(dir, "none");
  expect(messageOf(() => readKeyFile(missing, place))).toBe(
    refusal("must be a file that is there", "write an auth key into it, or name another file", missing),
  );
  expect(messageOf(() => readKeyFile(dir, place))).toBe(
    refusal("must be a file", "name a file with an auth key in it", dir),
  );
});

test("one that a pipe stands for is refused at once, and not waited for", () => {
  const pipe = path.join(dir, "pipe");
  execFileSync("mkfifo", ["-m", "600", pipe]);
  expect(messageOf(() => readKeyFile(pipe, place))).toBe(
    refusal("must be a file", "name a file with an auth key in it", pipe),
  );
});
