import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { CommandResource, type Step } from "../../../toolchain/command/command.ts";
import { CommandRunner } from "../../../toolchain/command/process.ts";
import { type Properties, secret, unknownString } from "../../../toolchain/command/values.ts";

const folder = mkdtempSync(join(tmpdir(), "command-"));
afterAll(() => rmSync(folder, { recursive: true }));

const runner = new CommandRunner();
const resource = new CommandResource(runner);
const step = (change: Partial<Step> = {}): Step => ({ preview: false, timeout: 0, log: () => undefined, ...change });
const previous = { stdout: "was out", stderr: "was err" };
const create = (inputs: Properties, change?: Partial<Step>) => resource.create("name", inputs, step(change));

describe("create", () => {
  test("runs the command; the state is the inputs and what it printed, without the last line feed", async () => {
    const { id, state } = await create({ create: "echo out; echo; echo err >&2" });
    expect(id).toMatch(/^name[0-9a-f]{8}$/);
    expect(state).toEqual({ create: "echo out; echo; echo err >&2", stdout: "out\n", stderr: "err" });
  });

  test("without a command nothing runs", async () => {
    expect((await create({ delete: "echo" })).state).toEqual({ delete: "echo", stdout: "", stderr: "" });
  });

  test.each<[string, Properties, string]>([
    ["/bin/sh by default", { create: "echo $0" }, "/bin/sh"],
    ["an interpreter", { create: "X=[1]; echo $X $0", interpreter: ["bash", "-ec"] }, "[1] bash"],
    ["a directory", { create: "pwd", dir: "/" }, "/"],
    ["an environment, over its own", { create: "echo $HOME $A", environment: { HOME: "h", A: "a" } }, "h a"],
    ["standard input", { create: "cat", stdin: "given" }, "given"],
    ["no standard input", { create: "cat; echo end" }, "end"],
    ["input that nobody reads", { create: "echo done", stdin: "x".repeat(200_000) }, "done"],
    ["no previous output", { create: 'echo "[$PULUMI_COMMAND_STDOUT]"' }, "[]"],
    ["text beyond ASCII", { create: "printf 'gr\\303\\274\\303\\237e'" }, "grüße"],
  ])("with %s", async (_, inputs, stdout) => {
    expect((await create(inputs)).state.stdout).toBe(stdout);
  });

  test("a preview runs nothing and knows nothing of the outputs", async () => {
    const inputs = { create: `echo > ${folder}/preview` };
    expect(await create(inputs, { preview: true })).toEqual({
      id: "",
      state: { ...inputs, stdout: unknownString, stderr: unknownString },
    });
    expect(() => readFileSync(`${folder}/preview`)).toThrow("ENOENT");
  });

  test("with a secret among the inputs the outputs are secret, in a preview as well", async () => {
    const inputs = { create: "echo $TOKEN", environment: { TOKEN: secret("t0ken") } };
    const expected = { ...inputs, stdout: secret("t0ken"), stderr: secret("") };
    expect((await create(inputs)).state).toEqual(expected);
    expect((await create(inputs, { preview: true })).state.stdout).toEqual(secret(unknownString));
  });

  test.each<[string, Properties, string]>([
    [
      "an exit status",
      { create: "echo out; echo err >&2; exit 3" },
      'exit status 3: running "echo out; echo err >&2; exit 3":\nout\nerr\n',
    ],
    ["a signal", { create: "kill -9 $$" }, 'signal: killed: running "kill -9 $$":\n'],
    [
      "a directory that is a file",
      { create: "pwd", dir: import.meta.filename },
      'fork/exec /bin/sh: not a directory: running "pwd":\n',
    ],
    [
      "a program that may not be run",
      { create: "x", interpreter: [import.meta.filename] },
      `fork/exec ${import.meta.filename}: permission denied: running "x":\n`,
    ],
    [
      "an environment that is too big",
      { create: "x", environment: { A: "x".repeat(200_000) } },
      'fork/exec /bin/sh: argument list too long: running "x":\n',
    ],
    [
      "a missing interpreter in a missing directory",
      { create: "x", interpreter: ["nosuch"], dir: "/nowhere", environment: { PATH: "" } },
      'exec: "nosuch": executable file not found in $PATH: running "x":\n',
    ],
    [
      "a missing directory",
      { create: "pwd", dir: "/nowhere" },
      'chdir /nowhere: no such file or directory: running "pwd":\n',
    ],
    [
      "a missing interpreter",
      { create: "x", interpreter: ["nosuch"] },
      'exec: "nosuch": executable file not found in $PATH: running "x":\n',
    ],
    [
      "a missing path",
      { create: "x", interpreter: ["/no/such"] },
      'fork/exec /no/such: no such file or directory: running "x":\n',
    ],
  ])("fails with %s", async (_, inputs, message) => {
    await expect(create(inputs)).rejects.toThrow(new Error(message));
  });

  test("at a timeout its shell is killed, and what that has started goes on and is waited for", async () => {
    const command = `(sleep 1; echo late | tee ${folder}/late) & exec sleep 30`;
    const started = Date.now();
    const ended = create({ create: command }, { timeout: 0.2 }).catch((error: Error) => error.message);
    expect(await ended).toMatch(/^signal: killed: running /);
    expect(Date.now() - started).toBeGreaterThanOrEqual(1000);
    expect(readFileSync(`${folder}/late`, "utf8")).toBe("late\n");
  });

  test("a program in the shell's place is ended at a timeout", async () => {
    const started = Date.now();
    await expect(create({ create: "exec sleep 30" }, { timeout: 0.2 })).rejects.toThrow("signal: killed: running");
    expect(Date.now() - started).toBeLessThan(5000);
  });

  test("a line that the official plugin would never get past is refused", async () => {
    const line = (bytes: number) => create({ create: `head -c ${bytes} /dev/zero | tr '\\0' x` });
    expect((await line(65535)).state.stdout).toHaveLength(65535);
    await expect(line(65536)).rejects.toThrow("a line of more than 65535 bytes, at which the official plugin waits");
    const unlogged = create({ create: "head -c 70000 /dev/zero | tr '\\0' x", logging: "stderr" });
    expect((await unlogged).state.stdout).toHaveLength(70000);
  });
});

describe("update", () => {
  const update = (olds: Properties, news: Properties, change?: Partial<Step>) =>
    resource.update({ ...olds, ...previous }, news, step(change));

  test.each<[string, Properties, Properties]>([
    ["update, if there is one", { create: "echo c", update: "echo u" }, { stdout: "u", stderr: "" }],
    ["create, if there is no update", { create: "echo c" }, { stdout: "c", stderr: "" }],
    ["nothing, if there is neither: the outputs stay", { delete: "echo d" }, previous],
    [
      "with the previous output",
      { update: "echo $PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR" },
      { stdout: "was out was err", stderr: "" },
    ],
    [
      "without the previous output, if told so",
      { update: 'echo "[$PULUMI_COMMAND_STDOUT]"', addPreviousOutputInEnv: false },
      { stdout: "[]", stderr: "" },
    ],
  ])("runs %s", async (_, news, expected) => {
    expect(await update({}, news)).toEqual({ ...news, ...expected });
  });

  test("a preview does not know the outputs if an input has changed, and knows them if none has", async () => {
    const changed = await update({ create: "a" }, { create: "b" }, { preview: true });
    expect(changed).toEqual({ create: "b", stdout: unknownString, stderr: unknownString });
    expect(await update({ create: "a" }, { create: "a" }, { preview: true })).toEqual({ create: "a", ...previous });
  });

  test("previous output that is secret reaches the command", async () => {
    const olds = { stdout: secret("hidden"), stderr: "" };
    const news = { update: "echo $PULUMI_COMMAND_STDOUT" };
    expect((await resource.update(olds, news, step())).stdout).toBe("hidden");
  });
});

describe("delete", () => {
  test("runs the command, with what was printed before", async () => {
    const file = join(folder, "deleted");
    await resource.delete({ delete: `echo $PULUMI_COMMAND_STDOUT > ${file}`, create: "exit 1", ...previous }, step());
    expect(readFileSync(file, "utf8")).toBe("was out\n");
  });

  test("without a command nothing runs", async () => {
    await resource.delete({ create: "exit 1", ...previous }, step());
  });
});

describe("logging", () => {
  const command = "printf 'one\\ntwo\\r\\nthree'; sleep 0.05; echo err >&2";

  test.each<[string | undefined, string[]]>([
    [undefined, ["one", "two", "three", "err"]],
    ["stdoutAndStderr", ["one", "two", "three", "err"]],
    ["stdout", ["one", "two", "three"]],
    ["stderr", ["err"]],
    ["none", []],
  ])("%s", async (logging, expected) => {
    const lines: string[] = [];
    const inputs = { create: command, ...(logging ? { logging } : {}) };
    const { state } = await create(inputs, { log: (line) => lines.push(line) });
    expect(lines.sort()).toEqual(expected.sort());
    expect(state.stdout).toBe("one\ntwo\r\nthree");
  });

  test("lines come as they are printed", async () => {
    const first = new Promise<void>((resolve) => {
      const log = (line: string) => line === "first" && resolve();
      void create({ create: "echo first; exec sleep 5" }, { log }).catch(() => undefined);
    });
    await first;
    await runner.stop();
  });
});

test("stop kills the shells of what runs, and it says so; others run on beside it meanwhile", async () => {
  const long = create({ create: "echo before; exec sleep 30" });
  const ended = expect(long).rejects.toThrow(
    new Error('signal: killed: running "echo before; exec sleep 30":\nbefore\n'),
  );
  expect((await create({ create: "echo quick" })).state.stdout).toBe("quick");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await runner.stop();
  await ended;
});
