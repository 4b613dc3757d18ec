import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { completionScript, completionsFor, shells, stackIn } from "../../../../cli/completions.ts";
import { buildProgram } from "../../../../cli/program.ts";

const names = { stacks: ["local", "storage"], projects: ["api", "webapp"] };
const complete = (...words: string[]) => completionsFor(buildProgram(), words, names);

describe("what a command line may become", () => {
  test.each([
    [["sta"], ["status", "start"]],
    [
      ["ssh", ""],
      ["api", "webapp"],
    ],
    [["ssh", "w"], ["webapp"]],
    [["stop", "--force", "a"], ["api"]],
    [["cp", "notes.md", "w"], ["webapp:"]],
    [["snapshot", "re"], ["restore"]],
    [
      ["snapshot", "restore", ""],
      ["api", "webapp"],
    ],
    [["snapshot", "restore", "api", ""], []],
    [["destroy", "a"], ["api"]],
    [["create", "a"], []],
    [["use", "s"], ["storage"]],
    [["--stack", "l"], ["local"]],
    [
      ["list", "-s", ""],
      ["local", "storage"],
    ],
    [["--stack", "storage", "ssh", "a"], ["api"]],
    [["stop", "api", "--f"], ["--force"]],
    [["completion", "z"], ["zsh"]],
    [["ssh", "api", "--", "w"], []],
    [["resize", "--cpus", "4", "w"], ["webapp"]],
    [["resize", "w", "--cpus", ""], []],
    [["exec", "-u", "dev", "w"], ["webapp"]],
    [["list", "--stack=l"], ["--stack=local"]],
    [["list", "--stack", "=", "l"], ["local"]],
    [
      ["list", "--stack", "="],
      ["local", "storage"],
    ],
    [["ne"], ["new"]],
    [["new", "a"], []],
    [
      ["images", ""],
      ["prune", "verify"],
    ],
    [["no-such-verb", ""], expect.not.arrayContaining(["__complete"])],
  ])("%j to %j", (words, found) => {
    expect(complete(...words)).toEqual(found);
  });

  test("nothing that is in no help is among the verbs", () => {
    expect(complete("")).toContain("list");
    expect(complete("_")).toEqual([]);
  });

  test.each([
    [["ssh", "w"], undefined],
    [["-s", "storage", "ssh", ""], "storage"],
    [["ssh", "--stack=storage", ""], "storage"],
    [["ssh", "--stack", "=", "storage", ""], "storage"],
  ])("the stack in %j is %s", (words, stack) => {
    expect(stackIn(words)).toBe(stack);
  });
});

describe("in a shell", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "completion-"));
    writeFileSync(path.join(dir, "Pulumi.yaml"), "name: project-vms\n");
    writeFileSync(path.join(dir, "Pulumi.local.yaml"), "config:\n  project-vms:projects: {webapp: {}, api: {}}\n");
    mkdirSync(path.join(dir, "sub"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const run = (...words: string[]) =>
    spawnSync(path.resolve("bin/project-vm"), ["__complete", "--", ...words], {
      cwd: path.join(dir, "sub"),
      encoding: "utf8",
    });

  test("names come from the stack's file, without its host", () => {
    expect(run("ssh", "").stdout).toBe("api\nwebapp\n");
    expect(run("--stack", "").stdout).toBe("local\n");
  });

  test("a file whose name would act in a shell, or on a terminal, is no stack", () => {
    for (const name of ["$(id)", "a;id", "-n", "\u001b[2J", "a b"])
      writeFileSync(path.join(dir, `Pulumi.${name}.yaml`), "");
    expect(run("--stack", "").stdout).toBe("local\n");
  });

  test("with a config that has mistakes there are still the verbs", () => {
    writeFileSync(path.join(dir, "Pulumi.local.yaml"), "config: {project-vms:projects: {A: {}}}\n");
    expect(run("ssh", "")).toMatchObject({ stdout: "", stderr: "", status: 0 });
    expect(run("star").stdout).toBe("start\n");
  });

  /** In milliseconds: zsh compiles its own completion first, on a loaded machine for many seconds. */
  const shellLimit = 60_000;

  /** What a line becomes in bash, its script's function called as bash calls it. */
  const inBash = (line: string) => `source <(project-vm completion bash)
    COMP_WORDS=(${line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _project_vm
    printf '%s\\n' "\${COMPREPLY[@]}"`;

  /** In zsh the whole line, after Tab was pressed in a terminal of its own. */
  const inZsh = (line: string) => `zmodload zsh/zpty
    zpty terminal zsh -f -i
    zpty -w terminal 'PS1=; autoload -Uz compinit; compinit -u -D; source <(project-vm completion zsh)'
    zpty -w terminal 'shown() { print -r -- "$BUFFER" >shown; exit }; zle -N shown; bindkey "^X" shown'
    zpty -w terminal 'bindkey "^I" complete-word; print >ready'
    until [[ -e ready ]]; do sleep 0.1; done
    zpty -w -n terminal '${line}'$'\\t\\x18'
    until [[ -s shown ]]; do sleep 0.1; done
    cat shown`;

  const inFish = (line: string) => `project-vm completion fish | source; complete -C '${line}'`;

  test.each<[string, string, string[], (line: string) => string, string]>([
    ["bash", "project-vm ssh web", [], inBash, "webapp\n"],
    ["bash", "project-vm statu", [], inBash, "status\n"],
    ["zsh", "project-vm ssh web", ["-f"], inZsh, "project-vm ssh webapp \n"],
    ["zsh", "project-vm cp web", ["-f"], inZsh, "project-vm cp webapp:\n"],
    ["fish", "project-vm ssh web", ["--no-config"], inFish, "webapp\n"],
    ["fish", "project-vm --sta", ["--no-config"], inFish, "--stack\n"],
  ])(
    "%s completes %j by its script",
    (shell, line, options, script, completed) => {
      const env = { ...process.env, HOME: dir, TERM: "dumb", PATH: `${path.resolve("bin")}:${process.env.PATH}` };
      const ran = spawnSync(shell, [...options, "-c", script(line)], {
        cwd: dir,
        encoding: "utf8",
        env,
        timeout: shellLimit,
      });
      expect([ran.stderr, ran.stdout]).toEqual(["", completed]);
    },
    2 * shellLimit,
  );

  test("there is a script for each shell, and no other", () => {
    for (const shell of shells) expect(completionScript(shell)).toContain("project-vm __complete -- ");
    expect(completionScript("csh")).toBeUndefined();
  });
});
