import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

// tsc takes seconds, on a busy machine many.
vi.setConfig({ testTimeout: 60_000 });

let dir: string;
beforeEach(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "pre-commit-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  for (const name of [".githooks", ".gitignore", "biome.json", "package.json", "tsconfig.json"])
    cpSync(name, path.join(dir, name), { recursive: true });
  writeFileSync(path.join(dir, "zero.ts"), "export const zero = 0;\n");
  await git("init", "-q");
  await git("config", "core.hooksPath", ".githooks");
});

const git = (...args: string[]) =>
  execa("git", ["-c", "user.name=dev", "-c", "user.email=dev@example.org", ...args], {
    cwd: dir,
    all: true,
    reject: false,
  });

/** A commit of one file, whatever else is in the folder. */
async function commit(file: string, text: string) {
  writeFileSync(path.join(dir, file), text);
  await git("add", file);
  return git("commit", "-q", "-m", "core: one");
}

const installPackages = () => symlinkSync(path.resolve("node_modules"), path.join(dir, "node_modules"));

test.each([
  ["code", "one.ts", "export const one = 1;\n"],
  ["a page, which Biome does not read", "one.md", "# One\n"],
])("%s is committed", async (_, file, text) => {
  installPackages();
  expect(await commit(file, text)).toMatchObject({ exitCode: 0 });
});

test.each([
  ["lint", "const one = 1;\n\nexport {};\n", "noUnusedVariables"],
  ["format", "export const one  =  1\n", "Formatter would have printed"],
  ["types", 'export const one: number = "one";\n', "TS2322"],
])("what fails by its %s is not committed", async (_, text, why) => {
  installPackages();
  expect(await commit("one.ts", text)).toMatchObject({ exitCode: 1, all: expect.stringContaining(why) });
});

test("a file that is not part of the commit is not linted", async () => {
  installPackages();
  writeFileSync(path.join(dir, "other.ts"), "const other = 1;\n\nexport {};\n");
  expect(await commit("with a blank.ts", "export const one = 1;\n")).toMatchObject({ exitCode: 0 });
});

test("without packages the hook names the command that installs them", async () => {
  const { exitCode, all } = await commit("one.ts", "export const one = 1;\n");
  expect(exitCode).toBe(1);
  expect(all).toBe("pre-commit: packages are not installed; run: make node_modules/.built");
});
