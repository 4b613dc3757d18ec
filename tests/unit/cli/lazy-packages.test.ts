import path from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";

const repository = path.resolve(import.meta.dirname, "../../..");
const loaded = `Object.keys(require.cache).filter((file) => /node_modules.(typescript|@npmcli.arborist).lib/.test(file)).length`;

/** What a program prints that Node runs as Pulumi.yaml has it run. */
async function run(...lines: string[]): Promise<string[]> {
  const args = ["--require", "./bin/lazy-packages.cjs", "--eval", lines.join(";\n")];
  const { stdout } = await execa(process.execPath, args, { cwd: repository });
  return stdout.split("\n");
}

test("the SDK's loading leaves the TypeScript compiler and npm's resolver out", async () => {
  expect(await run('const pulumi = require("@pulumi/pulumi")', `console.log(${loaded}, typeof pulumi.Output)`)).toEqual(
    ["0 function"],
  );
});

test("a program that serializes a function has the compiler", async () => {
  const lines = await run(
    'const { runtime } = require("@pulumi/pulumi"), answer = 42',
    `runtime.serializeFunction(() => answer).then(({ text }) => console.log(text.includes("() => answer") || text, ${loaded} > 0))`,
  );
  expect(lines).toEqual(["true true"]);
});

test("a program that asks for its packages has the resolver", async () => {
  const lines = await run(
    'const { runtime } = require("@pulumi/pulumi")',
    `runtime.computeCodePaths({}).then((paths) => console.log(paths.has("node_modules/@clack/prompts"), ${loaded} > 0))`,
  );
  expect(lines).toEqual(["true true"]);
});
