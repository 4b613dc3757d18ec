import { appendFileSync, cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const repository = path.resolve(import.meta.dirname, "../../..");
let dir: string;
const modules = () => path.join(dir, "node_modules");
const source = (name: string, text: string) => writeFileSync(path.join(dir, "cli", name), text);

/** A checkout with the real start, the real packages, and next to no sources. */
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "bundle-"));
  cpSync(path.join(repository, "bin"), path.join(dir, "bin"), { recursive: true });
  writeFileSync(path.join(dir, "package.json"), '{ "type": "module" }');
  mkdirSync(modules());
  for (const name of readdirSync(path.join(repository, "node_modules"))) {
    if (!name.startsWith(".")) symlinkSync(path.join(repository, "node_modules", name), path.join(modules(), name));
  }
  mkdirSync(path.join(dir, "cli/answer"), { recursive: true });
  source(
    "main.ts",
    'const { answer } = await import("./answer/main.ts");\nconsole.log(answer(...process.argv.slice(2)));\n',
  );
  source("answer/main.ts", 'export const answer = (word: string) => word + " from " + import.meta.dirname;\n');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function start(word: string, { cwd = tmpdir(), env = {} } = {}): Promise<string> {
  const { all } = await execa(path.join(dir, "bin/project-vm"), [word], { cwd, env, all: true, reject: false });
  return all;
}
const said = (word: string) => `${word} from ${path.join(dir, "cli/answer")}`;

/** Without them nothing is compiled any more. */
function removeCompilers(): void {
  for (const name of ["tsx", "esbuild"]) rmSync(path.join(modules(), name));
}

test("the second start compiles nothing, and files are found beside their sources", async () => {
  expect(await start("first")).toBe(said("first"));
  removeCompilers();
  expect(await start("second")).toBe(said("second"));
});

test.each<[string, () => void]>([
  ["it begins with", () => appendFileSync(path.join(dir, "cli/main.ts"), 'console.log("more");')],
  ["is loaded late", () => appendFileSync(path.join(dir, "cli/answer/main.ts"), 'console.log("more");')],
])("a change in a source that %s counts from the next start on", async (_, change) => {
  expect(await start("first")).toBe(said("first"));
  change();
  expect((await start("second")).split("\n").sort()).toEqual(["more", said("second")]);
  removeCompilers();
  expect((await start("third")).split("\n").sort()).toEqual(["more", said("third")]);
});

test("other packages count from the next start on, missing ones are said", async () => {
  expect(await start("first")).toBe(said("first"));
  writeFileSync(path.join(modules(), ".package-lock.json"), "{}");
  removeCompilers();
  expect(await start("second")).toBe(`project-vm's packages are not installed: npm ci, in ${dir}`);
});

test("several first starts at once all do their work", async () => {
  const words = ["a", "b", "c", "d"];
  expect(await Promise.all(words.map((word) => start(word)))).toEqual(words.map(said));
  removeCompilers();
  expect(await start("e")).toBe(said("e"));
});

test("a start that was cut off while it compiled is no hindrance", async () => {
  const child = execa(path.join(dir, "bin/project-vm"), ["x"], { reject: false });
  setTimeout(() => child.kill("SIGKILL"), 150);
  await child;
  expect(await start("next")).toBe(said("next"));
});

describe("where nothing can be kept", () => {
  beforeEach(() => writeFileSync(path.join(modules(), ".cache"), "no folder"));

  test("each start compiles", async () => {
    expect(await start("first")).toBe(said("first"));
    expect(await start("second")).toBe(said("second"));
  });

  test("nothing is kept in /tmp, where another user's could be found by its name", async () => {
    const tmp = path.join(dir, "tmp");
    mkdirSync(tmp);
    expect(await start("first", { env: { TMPDIR: tmp } })).toBe(said("first"));
    expect(readdirSync(tmp, { recursive: true })).toEqual([]);
  });

  test("nor by what make runs", async () => {
    const { stdout } = await execa("make", ["--dry-run", "up", "down", "clean", "env", "toolchain"], {
      cwd: repository,
    });
    expect(stdout).toContain("node bin/entry.js make/up.ts");
    expect(stdout).not.toMatch(/tsx/);
  });

  test("no tsconfig.json on the way to the current folder has a say", async () => {
    const cwd = path.join(dir, "of-another/deeper");
    mkdirSync(cwd, { recursive: true });
    const paths = { yaml: [path.join(dir, "of-another/evil.ts")] };
    writeFileSync(path.join(dir, "of-another/tsconfig.json"), JSON.stringify({ compilerOptions: { paths } }));
    writeFileSync(path.join(dir, "of-another/evil.ts"), 'export default (console.log("EVIL"), {});\n');
    appendFileSync(path.join(dir, "cli/main.ts"), 'import YAML from "yaml";\nYAML.parse;\n');
    expect(await start("first", { cwd })).toBe(said("first"));
  });
});

test("a mistake in a source is told, and what stood there before is not run", async () => {
  expect(await start("first")).toBe(said("first"));
  source("answer/main.ts", "export const answer = (;\n");
  expect(await start("second")).toMatch(/main\.ts:1:\d+: ERROR: Unexpected ";"/);
});
