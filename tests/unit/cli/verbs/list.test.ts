import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { inColour, printFacts, printList } from "../../../../cli/print.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function printed(print: () => void): string {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  print();
  return log.mock.calls[0]?.[0];
}

function onTerminal(isTTY: boolean): void {
  const { isTTY: before } = process.stdout;
  process.stdout.isTTY = isTTY;
  vi.stubEnv("NO_COLOR", "");
  vi.stubEnv("TERM", "xterm");
  onTestFinished(() => {
    process.stdout.isTTY = before;
  });
}

describe("colours", () => {
  const green = "\u001b[32mrunning\u001b[39m";

  test("are for terminals", () => {
    onTerminal(true);
    expect(inColour("running", "green")).toBe(green);
    onTerminal(false);
    expect(inColour("running", "green")).toBe("running");
  });

  test.each([
    ["NO_COLOR", "1"],
    ["TERM", "dumb"],
  ])("are not for who sets %s to %s", (name, value) => {
    onTerminal(true);
    vi.stubEnv(name, value);
    expect(inColour("running", "green")).toBe("running");
  });

  test("take up no room in a table", () => {
    onTerminal(true);
    const columns = { STATE: () => ({ text: "running", colour: "green" as const }), NAME: () => "api" };
    expect(printed(() => printList([{}], columns, {}))).toBe(`STATE    NAME\n${green}  api`);
  });
});

describe("facts", () => {
  const facts = { name: "api", memory: 2 ** 30, address: "", image: undefined };

  test("are a line each, without those that are not known", () => {
    expect(printed(() => printFacts({}, facts, {}))).toBe("name    api\nmemory  1 GiB");
  });

  test("as JSON are the thing itself", () => {
    expect(JSON.parse(printed(() => printFacts({ a: null }, facts, { json: true })))).toEqual({ a: null });
  });
});

describe("the verb", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "list-"));
    writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\n");
    for (const stack of ["local", "away"]) {
      const host = `{uri: "qemu+unix:///system?socket=${dir}/none"}`;
      writeFileSync(path.join(dir, `Pulumi.${stack}.yaml`), `config:\n  project-vms:host: ${host}\n`);
    }
  });
  afterEach(() => rm(dir, { recursive: true }));

  const run = (...args: string[]) => execa(path.resolve("bin/project-vm"), args, { cwd: dir, reject: false });

  test.each([["list"], ["status", "api"], ["start", "api"], ["ssh", "api"], ["exec", "api", "--", "true"]])(
    "%s says of a host that does not answer what to do, and ends with 1",
    async (...args) => {
      const { exitCode, stdout, stderr } = await run(...args.filter((word) => typeof word === "string"));
      expect([exitCode, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(
        /^The libvirt host .* does not answer\.\n {2}- host\.uri: must lead to a libvirt that answers/,
      );
    },
  );

  test("all stacks are listed as far as they can be, and the others named", async () => {
    const { exitCode, stdout, stderr } = await run("list", "--all-stacks", "--json");
    expect([exitCode, stdout]).toEqual([1, "[]"]);
    expect(stderr.match(/does not answer/g)).toHaveLength(2);
  });

  test("the stack that was chosen is the one that counts, until another is named", async () => {
    expect((await run("use")).stdout).toBe("local");
    expect(await run("use", "away")).toMatchObject({ exitCode: 0, stdout: "" });
    expect((await run("use")).stdout).toBe("away");
    expect((await run("use", "awy")).stderr).toContain("did you mean `--stack away`?");
  });

  test("what the file of that stack holds is printed as it may be", async () => {
    mkdirSync(path.join(dir, ".local"));
    writeFileSync(path.join(dir, ".local/stack"), "a\x1b[2J\nREADY b\n");
    expect((await run("use")).stdout).toBe("a\\x1b[2J\\nREADY b");
    expect(JSON.parse((await run("use", "--json")).stdout)).toEqual({ stack: "a\x1b[2J\nREADY b" });
  });

  test.each([
    [["exec", "api"], "error: missing required argument 'command'"],
    [["cp", "a", "b"], "error: neither side is in a VM: write `<project>:<path>` for one that is"],
    [["stop", "api", "--timeout", "soon"], "It must be a whole number, at least 1."],
    [["resize", "api"], "error: give at least one of --memory, --cpus, --disk, --root-disk"],
    [["destroy", "api", "--keep-data", "--purge"], "option '--keep-data' cannot be used with option '--purge'"],
    [["create", "api", "much"], "error: command-argument value 'much' is invalid for argument 'memory'."],
    [["completion", "csh"], "Allowed choices are bash, zsh, fish."],
  ])("%j is misuse", async (args, said) => {
    const { exitCode, stderr } = await run(...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(said);
  });
});
