import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { shellWord } from "../../../src/core/shell-word.ts";
import { ShellError, shellFor, uriOnHost } from "../../../src/libvirt/shell.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "shell-test-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was thrown",
    (error: Error) => `${error.name}: ${error.message}`,
  );

test.each([
  ["plain/word.qcow2", "plain/word.qcow2"],
  ["", "''"],
  ["two words", "'two words'"],
  ["it's $HOME `id`", "'it'\\''s $HOME `id`'"],
])("%j is quoted as %s", (word, quoted) => {
  expect(shellWord(word)).toBe(quoted);
});

test.each([
  ["qemu+ssh://root@storage/system", "qemu:///system"],
  ["qemu+ssh://root@storage:2222/system?keyfile=/k&no_verify=1", "qemu:///system"],
  ["qemu+ssh://storage/system?socket=/run/other-sock", "qemu+unix:///system?socket=/run/other-sock"],
])("programs on the host of %s reach its libvirt as %s", (uri, onHost) => {
  expect(uriOnHost(uri)).toBe(onHost);
  expect(shellFor(uri).uri).toBe(onHost);
});

describe("on this machine", () => {
  const shell = shellFor("qemu:///system");

  test("a program gets its words as they are, and its output comes back whole", async () => {
    expect(await shell.run(["printf", "%s\\n", "a b", "$HOME", "it's"])).toBe("a b\n$HOME\nit's\n");
    expect(shell.uri).toBe("qemu:///system");
  });

  test("what virsh's agent says where there is no polkit is nobody's matter", async () => {
    const noise = "Authorization not available. Check if polkit service is running or see debug message.";
    const lines: string[] = [];
    const script = `echo '${noise}' >&2; echo real >&2; exit 1`;
    const said = await messageOf(shell.run(["sh", "-c", script], { onLine: (line) => lines.push(line) }));
    expect(lines).toEqual(["real"]);
    expect(said).toMatch(/ failed on this machine \(exit code 1\): real$/);
  });

  test("it reads a text or a file, and writes to an open file", async () => {
    const long = "0123456789".repeat(50_000);
    expect(await shell.run(["cat"], { stdin: long })).toBe(long);
    writeFileSync(path.join(dir, "in"), long);
    const out = openSync(path.join(dir, "out"), "w");
    expect(await shell.run(["cat"], { stdin: { file: path.join(dir, "in") }, stdout: out })).toBe("");
    closeSync(out);
    expect(readFileSync(path.join(dir, "out"), "utf8")).toBe(long);
    expect(await shell.run(["cat"])).toBe("");
  });

  test("a program that ends before it has read all is not an error of its own", async () => {
    expect(await shell.run(["true"], { stdin: "x".repeat(1_000_000) })).toBe("");
  });

  test("each line of its standard error is told as it comes", async () => {
    const lines: string[] = [];
    await shell.run(["sh", "-c", "echo one >&2; printf two >&2"], { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(["one", "two"]);
  });

  test("a failure shows the command, the exit code and the last lines, but no whole script", async () => {
    expect(await messageOf(shell.run(["sh", "-c", "seq 7 >&2; exit 3", "a b"]))).toBe(
      "ShellError: sh -c 'seq 7 >&2; exit 3' 'a b' failed on this machine (exit code 3): 3; 4; 5; 6; 7",
    );
    expect(await messageOf(shell.run(["sh", "-c", "exit 4\n# the rest of a script"]))).toBe(
      "ShellError: sh -c 'exit 4…' failed on this machine (exit code 4): it said nothing",
    );
    expect(await messageOf(shell.run(["sh", "-c", "kill -9 $$"]))).toContain("failed on this machine: it said nothing");
  });

  test("a right that is missing is the user's matter", async () => {
    const denied = ["sh", "-c", "echo \"mkdir: cannot create directory '/vms': Permission denied\" >&2; exit 1"];
    expect(await messageOf(shell.run(denied))).toBe(
      [
        "UserError: This user may not do that on this machine.",
        "  - user: must have the right to work on libvirt's disks there (mkdir: cannot create directory '/vms': Permission denied)",
        "    run it as root: sudo project-vm …",
      ].join("\n"),
    );
  });
});

describe("to the end", () => {
  const shell = shellFor("qemu:///system");

  test("output, standard error and exit code are those of the program", async () => {
    const lines: string[] = [];
    const run = shell.run(["sh", "-c", "echo out; echo err >&2; exit 5"], {
      toTheEnd: true,
      onLine: (line) => lines.push(line),
    });
    await expect(run).rejects.toMatchObject({ exitCode: 5, stderr: "err\n" });
    expect(lines).toEqual(["err"]);
    expect(await shell.run(["sh", "-c", "echo out"], { toTheEnd: true })).toBe("out\n");
  });

  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "%s to all that the user sees does not stop it",
    async (signal) => {
      const done = path.join(dir, "done");
      const script = `
      const { shellFor } = await import(${JSON.stringify(pathToFileURL(path.resolve("src/libvirt/shell.ts")).href)});
      await shellFor("qemu:///system").run(
        ["sh", "-c", "touch ${dir}/begun; echo a; sleep 1; echo b; echo c >&2; touch ${done}"], { toTheEnd: true });`;
      // In a process group of its own, which gets the signal as a terminal would send it.
      const child = spawn(process.execPath, ["--import", "tsx/esm", "--input-type=module", "-e", script], {
        detached: true,
        stdio: "ignore",
      });
      const closed = new Promise((resolve) => child.once("close", resolve));
      await vi.waitFor(() => expect(existsSync(path.join(dir, "begun"))).toBe(true), { timeout: 15_000, interval: 20 });
      process.kill(-(child.pid as number), signal);
      await closed;
      expect(existsSync(done)).toBe(false);
      await vi.waitFor(() => expect(existsSync(done)).toBe(true), { timeout: 10_000, interval: 50 });
      await delay(100);
    },
  );
});

describe("by ssh", () => {
  /** An ssh that notes what it was given and runs the command here, by a shell, as sshd does. */
  const fakeSsh = `#!/bin/sh
for word; do printf '%s\\n' "$word"; done >"$SSH_NOTES"
for command; do :; done
exec sh -c "$command"
`;
  beforeEach(() => {
    writeFileSync(path.join(dir, "ssh"), fakeSsh, { mode: 0o755 });
    vi.stubEnv("PATH", `${dir}:${process.env.PATH}`);
    vi.stubEnv("SSH_NOTES", path.join(dir, "notes"));
  });
  const given = () => readFileSync(path.join(dir, "notes"), "utf8").split("\n");

  test("words arrive as they are, however a shell would read them", async () => {
    const words = ["a b", "$HOME", "`id`", 'it\'s "so"', "*", "", "-n", "two\nlines", "\\"];
    expect(await shellFor("qemu+ssh://root@storage/system").run(["printf", "<%s>", ...words])).toBe(
      words.map((word) => `<${word}>`).join(""),
    );
  });

  test.each([
    ["qemu+ssh://root@storage/system", ["--", "root@storage"]],
    ["qemu+ssh://storage:2222/system?keyfile=/k/id", ["-p", "2222", "-i", "/k/id", "--", "storage"]],
    ["qemu+libssh2://me@[fd00::1]/system?no_verify=1", ["--", "me@fd00::1"]],
  ])("%s: no question, the keys of hosts checked, and its own port and key", async (uri, end) => {
    expect(await shellFor(uri).run(["cat"], { stdin: "sent" })).toBe("sent");
    const options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"];
    expect(given().slice(0, -2)).toEqual(["-T", ...options, ...end]);
  });

  test("a program of its own in place of ssh, as libvirt has it", async () => {
    vi.stubEnv("PATH", (process.env.PATH as string).replace(`${dir}:`, ""));
    const command = encodeURIComponent(path.join(dir, "ssh"));
    expect(await shellFor(`qemu+ssh://storage/system?command=${command}`).run(["echo", "there"])).toBe("there\n");
  });

  test("to the end, with the program's output and exit code", async () => {
    const shell = shellFor("qemu+ssh://root@storage/system");
    expect(await shell.run(["sh", "-c", "echo 'a  b'"], { toTheEnd: true })).toBe("a  b\n");
    const failed = shell.run(["sh", "-c", "echo no >&2; exit 7"], { toTheEnd: true });
    expect(await messageOf(failed)).toBe(
      "ShellError: sh -c 'echo no >&2; exit 7' failed on root@storage (exit code 7): no",
    );
    await expect(failed).rejects.toBeInstanceOf(ShellError);
  });

  test("a host that does not answer is explained as for libvirt", async () => {
    const refusing = "#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n";
    writeFileSync(path.join(dir, "ssh"), refusing, { mode: 0o755 });
    const uri = "qemu+ssh://root@storage/system";
    expect(await messageOf(shellFor(uri).run(["true"]))).toBe(
      [
        `UserError: The libvirt host ${uri} does not answer.`,
        `  - host.uri: must lead to a libvirt that answers (Host key verification failed.), but is "${uri}"`,
        "    Log in once by hand and check its key: ssh root@storage",
      ].join("\n"),
    );
  });

  test.each([
    ["kex_exchange_identification: read: Connection reset by peer", 3],
    ["root@storage: Permission denied (publickey).", 1],
  ])(
    "a log-in that ends with %j is made %i times: what was turned away, again; what was refused, not",
    async (says, times) => {
      const turning = `#!/bin/sh
echo >>${dir}/tries
[ "$(wc -l <${dir}/tries)" -lt 3 ] || { cat; exit; }
echo '${says}' >&2
exit 255
`;
      writeFileSync(path.join(dir, "ssh"), turning, { mode: 0o755 });
      const run = shellFor("qemu+ssh://root@storage/system").run(["cat"], { stdin: "sent" });
      expect(await messageOf(run)).toContain(times > 1 ? "nothing was thrown" : says);
      if (times > 1) expect(await run).toBe("sent");
      expect(readFileSync(path.join(dir, "tries"), "utf8")).toBe("\n".repeat(times));
    },
  );

  test("a right that is missing there names the way to have it", async () => {
    const run = shellFor("qemu+ssh://me@storage/system").run(["sh", "-c", "echo 'Permission denied' >&2; exit 1"]);
    expect(await messageOf(run)).toBe(
      [
        "UserError: This user may not do that on me@storage.",
        "  - user: must have the right to work on libvirt's disks there (Permission denied)",
        "    name a user who may in the URI, e.g. `qemu+ssh://root@storage/system`",
      ].join("\n"),
    );
  });

  test("without ssh it says what to install", async () => {
    vi.stubEnv("PATH", path.join(dir, "empty"));
    expect(await messageOf(shellFor("qemu+ssh://storage/system").run(["true"]))).toBe(
      "UserError: ssh is not installed.\n  - ssh: must be on PATH\n    apt-get install openssh-client",
    );
  });
});

test.each(["qemu+tls://storage/system", "qemu+tcp://storage/system", "qemu://storage/system"])(
  "%s leads to a libvirt, but to no shell",
  (uri) => {
    expect(() => shellFor(uri)).toThrow(
      new UserError("No programs can be run on this host.", [
        {
          path: "host.uri",
          rule: "must lead to the host by ssh, for its disks are worked on there",
          value: uri,
          remedy: "write e.g. `qemu+ssh://root@storage/system`",
        },
      ]),
    );
  },
);
