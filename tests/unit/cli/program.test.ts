import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Command } from "commander";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { completeVerb } from "../../../cli/completions.ts";
import { buildProgram } from "../../../cli/program.ts";
import { imagesCommand } from "../../../cli/verbs/images.ts";

const bin = path.resolve("bin/project-vm");
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "cli-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const run = (...args: string[]) => execa(bin, args, { cwd: dir, reject: false, stdin: "ignore" });

function verbsOf(command: Command, prefix = ""): string[] {
  return command.commands.flatMap((sub) => [`${prefix}${sub.name()}`, ...verbsOf(sub, `${prefix}${sub.name()} `)]);
}

describe("the verbs", () => {
  const verbs = [
    ...["create", "resize", "rebuild", "destroy"],
    ...["list", "status", "start", "stop", "restart"],
    ...["ssh", "exec", "cp", "logs", "console"],
    ...["snapshot", "snapshot create", "snapshot list", "snapshot restore", "snapshot delete"],
    ...["backup", "backups", "export", "import", "purge"],
    ...["plan", "apply", "output", "doctor", "images", "images prune", "images verify", "use", "completion"],
  ];

  test("are these", () => {
    expect(verbsOf(buildProgram())).toEqual([...verbs, completeVerb]);
  });

  const commandsIn = (command: Command): Command[] => command.commands.flatMap((sub) => [sub, ...commandsIn(sub)]);

  test.each(commandsIn(buildProgram()).map((command) => [command.name(), command] as const))(
    "%s says what it does, and shows examples",
    (_, command) => {
      expect(command.description()).not.toBe("");
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect(help).toMatch(/^Examples?:$/m);
    },
  );

  /** Those that do something by themselves, with all the words that lead to them. */
  const leaves = (command: Command, before: string[] = []): [words: string, verb: Command][] =>
    command.commands
      .filter((sub) => sub.name() !== completeVerb)
      .flatMap((sub) => {
        const words = [...before, sub.name()];
        return sub.commands.length > 0 ? leaves(sub, words) : [[words.join(" "), sub] as const];
      });
  const all = [...leaves(buildProgram()), ["images", imagesCommand()] as const];

  test.each(all)("%s answers programs in JSON, in a shape that its help and the docs tell", (words, verb) => {
    const json = verb.options.find(({ long }) => long === "--json");
    expect(json?.description).toMatch(/^as JSON|^what `status --json` then says/);
    const documented = readFileSync("docs/cli.md", "utf8").split("## JSON")[1]?.split("\n## ")[0];
    expect(documented).toContain(`\`${words}\``);
  });
});

describe("the program", () => {
  test("shows its help from any folder, through a link", async () => {
    symlinkSync(bin, path.join(dir, "vm"));
    const { stdout, stderr, exitCode } = await execa(path.join(dir, "vm"), ["--help"], { cwd: "/" });
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("Usage: project-vm [options] [command]");
    expect(stdout).toContain("Exit codes: 0 done, 1 failed, 2 usage error.");
  });

  test.each([
    [["snapshot", "remake"], "error: unknown command 'remake'\n(Did you mean create?)"],
    [["backup"], "error: missing required argument 'project'"],
    [["backup", "a", "b"], "error: too many arguments for 'backup'. Expected 1 argument but got 2."],
    [["backups", "a", "--jsn"], "error: unknown option '--jsn'\n(Did you mean --json?)"],
    [
      ["backup", "a", "--keep", "0"],
      "error: option '--keep <number>' argument '0' is invalid. It must be a whole number, at least 1.",
    ],
  ])("called wrongly (%j) says so and ends with 2", async (args, said) => {
    const { stdout, stderr, exitCode } = await run(...args);
    expect([exitCode, stdout, stderr]).toEqual([2, "", said]);
  });

  test("without a verb shows its help and ends with 2", async () => {
    const { stderr, exitCode } = await run();
    expect(exitCode).toBe(2);
    expect(stderr).toContain("Usage: project-vm");
  });

  test("that cannot write its answer says why, without a trace", async () => {
    const { stderr, exitCode } = await execa("sh", ["-c", '"$0" --help >/dev/full', bin], { reject: false });
    const why = "The answer cannot be written to standard output: ENOSPC: no space left on device, write";
    expect([exitCode, stderr]).toEqual([1, why]);
  });

  test("that fails by the user's mistake ends with 1, without a trace, and prints no answer", async () => {
    const { stdout, stderr, exitCode } = await run("backups", "myapp");
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      [
        "There is no Pulumi project here.",
        `  - ${dir}: must have a Pulumi.yaml, or be in a folder that has one`,
        "    go to your checkout of Project VMs",
      ].join("\n"),
    );
  });
});

describe("in a checkout", () => {
  beforeEach(() => {
    writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\n");
    writeFileSync(path.join(dir, "Pulumi.local.yaml"), "config: {}\n");
    writeFileSync(path.join(dir, "Pulumi.mock.yaml"), "config:\n  project-vms:host: {uri: 'mock:///'}\n");
  });

  test.each([
    [["--stack", "mock", "backups", "myapp"]],
    [["backups", "myapp", "--stack", "mock"]],
    [["-s", "mock", "backups", "myapp"]],
  ])("the stack may stand anywhere: %j", async (args) => {
    const { stderr, exitCode } = await run(...args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("Pulumi.mock.yaml: host.uri: must be a libvirt URI");
  });

  test("a list of nothing is nothing, or an empty list", async () => {
    expect(await run("backups", "myapp")).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(await run("backups", "myapp", "--json")).toMatchObject({ exitCode: 0, stdout: "[]", stderr: "" });
  });
});
