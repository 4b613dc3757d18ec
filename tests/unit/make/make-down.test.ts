import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "make-down-"));
  copyFileSync("Makefile", path.join(root, "Makefile"));
  for (const dir of ["bin", "node_modules", "sdks/libvirt"]) mkdirSync(path.join(root, dir), { recursive: true });
  for (const file of ["package-lock.json", "sdks/libvirt/package.json", "node_modules/.built"])
    writeFileSync(path.join(root, file), "");
  writeFileSync(path.join(root, "bin/entry.js"), 'console.log(process.argv[2], process.env.FORCE ?? "none");\n');
});
afterEach(() => rmSync(root, { recursive: true }));

test.each<[string, string[], Record<string, string>, string]>([
  ["none is there", [], {}, "none"],
  ["it is on make's command line", ["FORCE=yes"], {}, "yes"],
  ["it is on make's command line, and another was exported", ["FORCE=yes"], { FORCE: "1" }, "yes"],
  ["one was exported, as for another tool", [], { FORCE: "yes" }, "none"],
  ["one was exported that goes before a Makefile's", ["-e"], { FORCE: "1" }, "none"],
])("`make down` hands on a FORCE of its own alone: where %s", async (_, given, env, force) => {
  // Not what the make above this test, if any, was called with.
  const called = ["FORCE", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"];
  const clean = Object.fromEntries(called.map((name) => [name, undefined]));
  const { stdout } = await execa("make", ["down", ...given], { cwd: root, env: { ...clean, ...env } });
  expect(stdout).toBe(`make/down.ts ${force}`);
});
