import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { npmVersion, programDependencies } from "../../../toolchain/language-nodejs/dependencies.ts";
import { runtimeOptions, splitWords } from "../../../toolchain/language-nodejs/options.ts";
import { requiredPackages } from "../../../toolchain/language-nodejs/packages.ts";
import {
  type ProgramRun,
  ProgramRunner,
  programArguments,
  programEnd,
  programEnvironment,
} from "../../../toolchain/language-nodejs/program.ts";
import { engineAddress } from "../../../toolchain/plugin/arguments.ts";

const folder = mkdtempSync(join(tmpdir(), "program-"));
afterAll(() => rmSync(folder, { recursive: true }));

function writeJson(path: string, value: object): void {
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), JSON.stringify(value));
}

beforeAll(() => {
  writeJson("package.json", { dependencies: { "@pulumi/libvirt": "file:sdk" }, devDependencies: { plain: "1" } });
  const parameterization = { name: "libvirt", version: "0.8.3", value: "e30=" };
  writeJson("sdk/package.json", {
    name: "@pulumi/libvirt",
    version: "0.8.3",
    pulumi: { resource: true, name: "terraform-provider", version: "1.1.3", parameterization },
  });
  writeJson("node_modules/@pulumi/command/package.json", {
    name: "@pulumi/command",
    version: "1.2.1",
    pulumi: { resource: true },
  });
  writeJson("node_modules/plain/package.json", { name: "plain", version: "1.0.0" });
  writeJson("node_modules/plain/node_modules/third/package.json", {
    name: "third",
    version: "2.0.0",
    pulumi: { resource: true, name: "third", server: "https://plugins.example" },
  });
  writeJson("node_modules/unnamed/package.json", { name: "unnamed", version: "1.0.0", pulumi: { resource: true } });
  writeJson("node_modules/@pulumi/pulumi/package.json", { name: "@pulumi/pulumi", version: "3.250.0" });
  writeJson("node_modules/@pulumi/pulumi/cmd/run/index.js", {});
  writeJson("node_modules/.package-lock.json", {
    packages: {
      "node_modules/@pulumi/libvirt": { resolved: "sdk", link: true },
      sdk: { version: "0.8.3" },
      "node_modules/plain": { version: "1.0.0" },
      "node_modules/plain/node_modules/third": { version: "2.0.0" },
    },
  });
  symlinkSync(join(folder, "sdk"), join(folder, "node_modules/@pulumi/libvirt"));
  symlinkSync(join(folder, "gone"), join(folder, "node_modules/@pulumi/gone"));
});

test.each<[string[], string | undefined]>([
  [["127.0.0.1:1"], "127.0.0.1:1"],
  [["--tracing", "http://localhost:1", "127.0.0.1:1"], "127.0.0.1:1"],
  [["--logtostderr", "-v=9", "-root=/x", "127.0.0.1:1"], "127.0.0.1:1"],
  [["-root", "/x"], undefined],
  [[], undefined],
])("the engine's address in %j", (args, expected) => {
  expect(engineAddress(args)).toBe(expected);
});

describe("runtime options", () => {
  test("their defaults", () => {
    expect(runtimeOptions({})).toEqual({ typescript: true, tsconfig: undefined, nodeargs: [] });
  });

  test.each<[Record<string, unknown>, string]>([
    [{ typescript: "no" }, "typescript option must be a boolean"],
    [{ tsconfig: 1 }, "tsconfigpath option must be a string"],
    [{ nodeargs: [] }, "nodeargs option must be a string"],
    [
      { packagemanager: "pnpm" },
      'packagemanager "pnpm" is not implemented by this project\'s stand-in for pulumi-language-nodejs: use npm, or install the official Pulumi CLI',
    ],
  ])("%j is refused", (options, message) => {
    expect(() => runtimeOptions(options)).toThrow(message);
  });

  test.each<[string, string[]]>([
    ["--import tsx", ["--import", "tsx"]],
    [`  --title="a b" 'c "d"'  e\\ f ""`, ["--title=a b", 'c "d"', "e f", ""]],
    ["", []],
  ])("the words of %j", (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });

  test("a quote that is not closed", () => {
    expect(() => splitWords("'a")).toThrow("EOF found when expecting closing quote");
  });
});

test("the plugins of all installed packages: parameterized, linked, nested, third-party", () => {
  const byName = [...requiredPackages(folder)].sort((left, right) => left.name.localeCompare(right.name));
  expect(byName).toEqual([
    { name: "command", version: "v1.2.1", server: "" },
    {
      name: "terraform-provider",
      version: "v1.1.3",
      server: "",
      parameterization: { name: "libvirt", version: "0.8.3", value: "e30=" },
    },
    { name: "third", version: "v2.0.0", server: "https://plugins.example" },
  ]);
});

test("the program's dependencies", () => {
  const direct = [
    { name: "@pulumi/libvirt", version: "0.8.3" },
    { name: "plain", version: "1.0.0" },
  ];
  expect(programDependencies(folder, false)).toEqual(direct);
  expect(programDependencies(folder, true)).toEqual([...direct, { name: "third", version: "2.0.0" }]);
});

describe("a program", () => {
  test("its arguments: node's own, the SDK that it has installed, the run's", () => {
    expect(programArguments(run({ options: { nodeargs: "--import tsx" }, dryRun: true, args: ["x"] }))).toEqual(
      `--import tsx ${folder}/node_modules/@pulumi/pulumi/cmd/run/index.js --monitor m:1 --engine e:1 --project p --root-directory ${folder} --stack s --pwd ${folder} --dry-run --parallel 4 index.ts x`.split(
        " ",
      ),
    );
  });

  test("its environment", () => {
    const environment = programEnvironment(
      run({
        options: { tsconfig: "t.json" },
        config: new Map([
          ["p:plain", "1"],
          ["p:config:old", "2"],
          ["p:a:b", "3"],
        ]),
        secretKeys: ["p:plain"],
      }),
    );
    expect(JSON.parse(environment.PULUMI_CONFIG ?? "")).toEqual({
      "p:config:plain": "1",
      "p:config:old": "2",
      "p:config:a:b": "3",
    });
    expect(environment).toMatchObject({
      PULUMI_CONFIG_SECRET_KEYS: '["p:plain"]',
      PULUMI_NODEJS_TYPESCRIPT: "true",
      PULUMI_NODEJS_TSCONFIG_PATH: "t.json",
    });
    expect(programEnvironment(run({ options: { typescript: false } })).PULUMI_NODEJS_TYPESCRIPT).toBeUndefined();
  });

  test.each<[number | null, NodeJS.Signals | null, string, boolean]>([
    [0, null, "", false],
    [32, null, "", true],
    [1, null, "Program exited with non-zero exit code: 1", false],
    [null, "SIGKILL", "Program exited with non-zero exit code: -1 (SIGKILL, signal 9)", false],
  ])("that ends with %s, %s", (code, signal, error, bail) => {
    expect(programEnd(code, signal)).toEqual({ error, bail });
  });

  test("without the SDK", async () => {
    const end = await new ProgramRunner().run(run({ programDirectory: "/" }));
    expect(end).toEqual({
      error: "It looks like the Pulumi SDK has not been installed. Have you run pulumi install?",
      bail: false,
    });
  });
});

describe("the version of npm", () => {
  afterEach(() => vi.unstubAllEnvs());

  test("is what npm says of itself", () => {
    expect(npmVersion()).toBe(execFileSync("npm", ["--version"], { encoding: "utf8" }).trim());
  });

  test("is asked for where PATH leads to a program of a version manager's", () => {
    writeJson("manager/package.json", { name: "manager", version: "1.0.0" });
    mkdirSync(join(folder, "manager/bin"));
    writeFileSync(join(folder, "manager/bin/npm"), "#!/bin/sh\necho 9.8.7\n", { mode: 0o755 });
    vi.stubEnv("PATH", `${join(folder, "manager/bin")}:${process.env.PATH}`);
    expect(npmVersion()).toBe("9.8.7");
  });

  test("is nothing without npm", () => {
    vi.stubEnv("PATH", join(folder, "empty"));
    expect(npmVersion()).toBe("");
  });
});

function run(change: Partial<ProgramRun>): ProgramRun {
  return {
    programDirectory: folder,
    rootDirectory: folder,
    entryPoint: "index.ts",
    options: {},
    monitorAddress: "m:1",
    engineAddress: "e:1",
    organization: "",
    project: "p",
    stack: "s",
    dryRun: false,
    parallel: 4,
    args: [],
    config: new Map(),
    secretKeys: [],
    ...change,
  };
}
