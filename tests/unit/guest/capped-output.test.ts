import { execa, type Options } from "execa";
import { describe, expect, test } from "vitest";
import { GuestAgent } from "../../../src/guest/agent.ts";
import { capped, mostErrors, mostOutput } from "../../../src/guest/capped-output.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";

/** A Debian guest's `/bin/sh` is dash; a VM with an image of its own may have bash there. */
const shells = ["dash", "bash"];

/** Runs a program as it is run in a guest, by one of its shells. */
async function runBy(shell: string, program: [string, ...string[]], options: Options = {}) {
  const [, ...words] = capped(program);
  const given = { encoding: "buffer", reject: false, stripFinalNewline: false, stdin: "ignore", ...options } as const;
  const { exitCode, stdout, stderr } = await execa(shell, words, given);
  return { exitCode, stdout: Buffer.from(stdout as Uint8Array), stderr: Buffer.from(stderr as Uint8Array) };
}

const sh = (script: string): [string, ...string[]] => ["/bin/sh", "-c", script];

/** An agent whose guest runs what it is told by one of the shells, and what it answered. */
function agentWith(shell: string) {
  const answers: string[] = [];
  const run: Virsh["run"] = async (_verb, _domain, request = "") => {
    const { execute, arguments: asked } = JSON.parse(request);
    if (execute === "guest-exec") {
      const input = Buffer.from(asked["input-data"] ?? "", "base64");
      const given = { encoding: "buffer", reject: false, stripFinalNewline: false, input } as const;
      const { exitCode, stdout, stderr } = await execa(shell, asked.arg, given);
      const [out, err] = [stdout, stderr].map((bytes) => Buffer.from(bytes).toString("base64"));
      answers.push(JSON.stringify({ return: { exited: true, exitcode: exitCode, "out-data": out, "err-data": err } }));
      return '{"return":{"pid":1}}';
    }
    return answers.at(-1) ?? "";
  };
  return { agent: new GuestAgent({ uri: "fake", run, runPrivately: run }, "project-app"), answers };
}

describe.each(shells)("a program that a guest's %s runs", (shell) => {
  test.each([
    ["0", sh("exit 0"), 0, ""],
    ["3", sh("exit 3"), 3, ""],
    ["255", sh("exit 255"), 255, ""],
    ["that of SIGTERM", sh("kill -TERM $$"), 143, ""],
    ["that of SIGKILL", sh("kill -KILL $$"), 137, ""],
    ["that of SIGSEGV", sh("kill -SEGV $$"), 139, ""],
    ["that of a program that is not there", ["no-such-program"] as [string], 127, "no-such-program: not found"],
    ["that of a file that is no program", ["/etc/passwd"] as [string], 126, "/etc/passwd: Permission denied"],
  ])("ends with its exit code, %s, and no words of the shell's beside", async (_, program, exitCode, words) => {
    const result = await runBy(shell, program);
    expect(result).toMatchObject({ exitCode, stdout: Buffer.alloc(0) });
    const said = result.stderr.toString();
    if (words === "") expect(said).toBe("");
    else expect(said).toContain(words);
  });

  test("is found by PATH, and is no builtin of the shell's", async () => {
    expect((await runBy(shell, ["exit", "9"])).exitCode).toBe(127);
    expect((await runBy(shell, ["env", "true"])).exitCode).toBe(0);
  });

  test("is given its words as they are", async () => {
    const words = ["", "a  b", "it's", '"$HOME" `id` \\', "one\ntwo\n", "-c", "*", "é", "exit 9"];
    const { stdout } = await runBy(shell, ["/usr/bin/printf", "%s\\0", ...words]);
    expect(stdout.toString().split("\0").slice(0, -1)).toEqual(words);
  });

  test("reads what it is given, and keeps its outputs apart, byte for byte", async () => {
    const input = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256));
    const { stdout, stderr } = await runBy(shell, sh("tee /dev/stderr"), { input, stdin: "pipe" });
    expect([stdout.equals(input), stderr.equals(input)]).toEqual([true, true]);
  });

  test("reads nothing where it is given nothing", async () => {
    expect((await runBy(shell, sh("wc -c"))).stdout.toString().trim()).toBe("0");
  });

  test("has no open files but its own three, so that one in the background holds nothing up", async () => {
    const script = 'for n in /proc/self/fd/*; do case $n in */[3-9]) [ ! -e "$n" ] || echo "$n";; esac; done';
    expect((await runBy(shell, sh(script))).stdout.toString()).toBe("");
    const sleep = "sleep 60 >/dev/null 2>&1 & echo $!";
    const { stdout } = await runBy(shell, sh(sleep), { timeout: 30_000 });
    process.kill(Number(stdout));
  });

  const [much, zeros] = [5_000_000, "head -c 5000000 /dev/zero"];
  test.each([
    ["its output", zeros, mostOutput + 1, 0],
    ["its errors", `${zeros} >&2`, 0, mostErrors + 1],
    ["both at once", `${zeros} & ${zeros} >&2; wait $!`, mostOutput + 1, mostErrors + 1],
    [
      "one after the other, by turns",
      "i=0; while [ $i -lt 50 ]; do head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; i=$((i + 1)); done",
      mostOutput + 1,
      mostErrors + 1,
    ],
  ])(`runs to its end though it writes ${much} bytes to %s`, async (_, script, out, err) => {
    const { exitCode, stdout, stderr } = await runBy(shell, sh(`set -e; ${script}\nexit 5`), { timeout: 60_000 });
    expect([exitCode, stdout.length, stderr.length]).toEqual([5, out, err]);
  });

  test.each([
    ["just as much output as is kept", mostOutput, 0, false],
    ["a byte more of output", mostOutput + 1, 0, true],
    ["just as many errors as are kept", 0, mostErrors, false],
    ["a byte more of errors", 0, mostErrors + 1, true],
    ["as much of both", mostOutput, mostErrors, false],
    ["much more of both", much, much, true],
  ])("is handed over with %s, in no longer an answer than libvirt passes on", async (_, out, err, isCut) => {
    const { agent, answers } = agentWith(shell);
    const script = `head -c ${out} /dev/zero; head -c ${err} /dev/zero >&2`;
    const result = await agent.execBytes(sh(script), 60);
    expect(result.isCut).toBe(isCut);
    expect([result.stdout.length, result.stderr.length]).toEqual([
      Math.min(out, mostOutput),
      Math.min(err, mostErrors),
    ]);
    expect(answers[0]?.length).toBeLessThan(4 * 1024 * 1024);
  });
});
