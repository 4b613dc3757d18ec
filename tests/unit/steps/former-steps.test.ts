import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
// @ts-expect-error: what runs before any TypeScript can has no types
import { formerSteps } from "../../../bin/former-steps.js";

const former = formerSteps as Record<string, string>;

/** As states of stacks have them, each with what its step says when it is told nothing, and what it is called now. */
const commands = [
  ["exec node 'bin/entry.js' 'vm/teardown-entry.ts'", "PROJECT_VMS_TEARDOWN", "tear-down-vm"],
  ["exec node 'bin/entry.js' 'vm/network-entry.ts'", "PROJECT_VMS_NETWORK", "remove-network"],
  ["exec node 'bin/entry.js' 'guest/wait-until-ready.ts'", "PROJECT_VMS_READY", "wait-until-ready"],
  ["PROJECT_VMS_SHELL=$$ node 'bin/entry.js' 'images/main.ts'; exit $?", "PROJECT_VMS_IMAGE", "publish-base-image"],
  ["exec node 'bin/entry.js' 'data/schedule-entry.ts' remove", "PROJECT_VMS_BACKUP", "backup-schedule"],
] as const;

/** Nothing of this process's: a step that is told nothing does nothing. */
const run = (command: string) =>
  spawnSync("sh", ["-c", command], { env: { PATH: process.env.PATH }, encoding: "utf8" });

test.each(commands)("a state's %s runs the step of today", (command, variable, step) => {
  const { stderr, stdout, status } = run(command);
  expect([stdout, status]).toEqual(["", 1]);
  expect(stderr).toContain(`${variable} is not set: this program is run by a command resource`);
  const today = run(command.replace(/(?<=bin\/entry\.js' ')[^']+/, `src/steps/${step}.ts`));
  expect([today.stdout, today.stderr, today.status]).toEqual([stdout, stderr, status]);
});

test("every step that was elsewhere is known, and what it is known as is there", () => {
  expect(Object.keys(former).sort()).toEqual(commands.map(([command]) => fileIn(command)).sort());
  expect(Object.values(former).filter((file) => !existsSync(file))).toEqual([]);
  expect(Object.keys(former).filter((file) => existsSync(file))).toEqual([]);
});

const fileIn = (command: string) => /(?<=bin\/entry\.js' ')[^']+/.exec(command)?.[0] ?? "";

test("a compiled package has a file at each former place, which loads the step of today", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "former-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  expect(spawnSync("node", ["bin/former-steps.js", dir]).status).toBe(0);
  for (const [place, step] of Object.entries(former)) {
    const file = path.join(dir, place.replace(/\.ts$/, ".js"));
    const [, target = ""] = /^import "(.*)";\n$/.exec(readFileSync(file, "utf8")) ?? [];
    expect(path.join(path.dirname(file), target)).toBe(path.join(dir, step.replace(/\.ts$/, ".js")));
  }
});
