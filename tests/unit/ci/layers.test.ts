import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "layers-"));
  copyFileSync("biome.json", path.join(dir, "biome.json"));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A file that imports others, each of which is there. */
function write(file: string, ...imports: string[]): void {
  const lines = imports.map((one, i) => `import { value as v${i} } from "${relative(file, one)}";`);
  const uses = imports.map((_, i) => `v${i}`);
  put(file, [...lines, ...(lines.length > 0 ? [""] : []), `export const value = [${uses.join(", ")}];`, ""].join("\n"));
}

function relative(from: string, to: string): string {
  const found = path.relative(path.dirname(from), to);
  return to.startsWith("node:") || !to.includes("/") ? to : found.startsWith(".") ? found : `./${found}`;
}

function put(file: string, text: string): void {
  mkdirSync(path.join(dir, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(dir, file), text);
}

/** What Biome says by this repository's own settings. */
async function lint(): Promise<{ exitCode: number | undefined; said: string }> {
  const args = ["lint", "--error-on-warnings", "--max-diagnostics=none", "--colors=off", "."];
  const biome = path.resolve("node_modules/.bin/biome");
  const env = { XDG_CACHE_HOME: path.join(dir, "node_modules/.cache") };
  const { exitCode, all } = await execa(biome, args, { cwd: dir, env, all: true, reject: false });
  return { exitCode, said: all };
}

/** Downwards, from the top. */
const layers = [
  ["cli", "bench"],
  ["components", "src/operations"],
  ["src/preflight", "src/steps", "src/engine", "make"],
  ["src/lifecycle", "src/project-disks", "src/checkout", "src/cloud-init"],
  ["src/guest", "src/images", "src/embedded-host"],
  ["src/libvirt", "src/tailnet"],
  ["src/config", "toolchain"],
  ["src/core"],
];
const folders = layers.flat();

/** Said in README.md to go sideways, in one direction. */
const sideways = [
  ["src/lifecycle", "src/project-disks"],
  ["src/embedded-host", "src/guest"],
];
/** Never, though they are below. */
const never = [
  ["components", "src/checkout"],
  ["components", "src/engine"],
];
const has = (pairs: string[][], from: string, to: string) => pairs.some(([a, b]) => a === from && b === to);
const levelOf = (folder: string) => layers.findIndex((layer) => layer.includes(folder));
const isAllowed = (from: string, to: string) =>
  has(sideways, from, to) || (levelOf(from) < levelOf(to) && !has(never, from, to));

test("an import that runs upwards or sideways fails, whichever two folders it is between, and every other one passes", async () => {
  for (const folder of folders) write(`${folder}/imported.ts`);
  write("index.ts", ...folders.filter((to) => levelOf(to) > 0).map((to) => `${to}/imported.ts`));
  for (const from of folders) {
    const others = folders.filter((to) => to !== from);
    write(
      `${from}/allowed.ts`,
      "node:fs",
      `${from}/imported.ts`,
      ...importedOf(others.filter((to) => isAllowed(from, to))),
    );
  }
  expect(await lint()).toEqual({ exitCode: 0, said: expect.stringContaining("No fixes applied") });
  const forbidden = folders.flatMap((from) =>
    folders.filter((to) => to !== from && !isAllowed(from, to)).map((to) => [from, to] as const),
  );
  const fileOf = ([from, to]: readonly [string, string]) => `${from}/upwards-${to.replace("/", "-")}.ts`;
  for (const pair of forbidden) write(fileOf(pair), `${pair[1]}/imported.ts`);
  write("src/operations/deep/upwards.ts", "cli/imported.ts");
  const ofProgram = folders.map((folder) => `${folder}/upwards-index.ts`);
  for (const file of ofProgram) write(file, "./index.ts");
  const { exitCode, said } = await lint();
  expect(exitCode).toBe(1);
  const failed = said
    .split("\n")
    .flatMap((line) => /^(\S+\.ts):\d+:\d+ lint\/style\/noRestrictedImports/.exec(line)?.[1] ?? []);
  expect(failed.sort()).toEqual([...forbidden.map(fileOf), ...ofProgram, "src/operations/deep/upwards.ts"].sort());
  expect(said).toContain("core: imports run downwards only");
});

const importedOf = (of: string[]) => of.map((folder) => `${folder}/imported.ts`);

test("a circle of imports fails, one of types too", async () => {
  write("src/core/first.ts");
  write("src/core/second.ts", "src/core/first.ts");
  expect((await lint()).exitCode).toBe(0);
  put(
    "src/core/first.ts",
    'import type { value } from "./second.ts";\n\nexport type First = typeof value;\nexport const value = [1];\n',
  );
  const { exitCode, said } = await lint();
  expect(exitCode).toBe(1);
  expect(said).toContain("lint/suspicious/noImportCycles");
});

test.each([
  ["execa", "components", "src/core/execa.ts has one that prints no secrets"],
  ["execa", "cli", "src/core/execa.ts has one that prints no secrets"],
  ["commander", "src/operations", "only cli/ reads a command line"],
])("the package %s fails in %s", async (name, folder, why) => {
  write(`${folder}/one.ts`, name);
  const { exitCode, said } = await lint();
  expect(exitCode).toBe(1);
  expect(said).toContain(why);
});
