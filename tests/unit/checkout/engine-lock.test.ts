import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { lockedStack } from "../../../src/checkout/engine-lock.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "engine-lock-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const said = async (stderr: string, stdout = "") => (await lockedStack({ stdout, stderr }, root, "local"))?.message;

/** A process of the engine's name, that has taken the stack's lock meanwhile. */
function engine(): number {
  const program = path.join(root, "pulumi");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["60"], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  const folder = path.join(root, ".local/state/.pulumi/locks/organization/project-vms/local");
  mkdirSync(folder, { recursive: true });
  const lock = { pid: child.pid, username: "me", hostname: hostname(), timestamp: "2026-11-21T10:00:00Z" };
  writeFileSync(path.join(folder, "1.json"), JSON.stringify(lock));
  return child.pid as number;
}

const cancel = '`pulumi cancel -s local` (in a shell of `eval "$(make -s env)"`)';
const lockedBy = (who: string, release = cancel) =>
  [
    "Nothing was changed: something else works on the stack local.",
    `  - stack local: is locked by ${who}`,
    `    wait until that has ended; if it is surely gone: ${release}, then the same command again`,
  ].join("\n");

/** What the engine says before it where it begins a stack. */
const beginnings = ["error: ", "error: could not create stack: "];

test.each(beginnings)("the engine's words for a lock (%s) are explained, with the way out", async (beginning) => {
  const stderr = `${beginning}the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.
  file:///x/.local/state/.pulumi/locks/organization/project-vms/local/1.json?metadata=skip&no_tmp_dir=true: created by root@desk (pid 4711) at 2026-11-21T17:05:33Z`;
  expect(await said(stderr)).toBe(lockedBy("process 4711 of root@desk, since 2026-11-21T17:05:33Z"));
});

test.each(beginnings)("so is a lock that the engine met while another one wrote it (%s)", async (beginning) => {
  const who = `process ${engine()} of me on ${hostname()}`;
  const file = path.join(root, ".local/state/.pulumi/locks/organization/project-vms/local/1.json");
  // Where there is no state, `pulumi cancel` finds no such stack.
  expect(await said(`${beginning}unexpected end of JSON input\n`)).toBe(lockedBy(who, `\`rm ${file}\``));
  const states = path.join(root, ".local/state/.pulumi/stacks/project-vms");
  mkdirSync(states, { recursive: true });
  writeFileSync(path.join(states, "local.json"), "{}");
  expect(await said(`${beginning}unexpected end of JSON input\n`)).toBe(lockedBy(who));
});

test.each([
  ["that names no lock", "error: no stack named 'x' found", ""],
  ["of a file that is cut off, when nobody holds the stack", "error: unexpected end of JSON input", ""],
  ["of a program that an update ran", "error: unexpected end of JSON input", "Updating (local):"],
])("an error %s is none of a lock", async (_, stderr, stdout) => {
  expect(await said(stderr, stdout)).toBeUndefined();
});
