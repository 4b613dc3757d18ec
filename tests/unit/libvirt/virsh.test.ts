import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { isLocal, mayBeSameLibvirt, virshFor, virshSession, withVirshSession } from "../../../src/libvirt/virsh.ts";
import { reasonIn, VirshError } from "../../../src/libvirt/virsh-error.ts";
import { lineForVirsh, quoteForVirsh, virshInShell } from "../../../src/libvirt/virsh-line.ts";
import { withoutQuestions } from "../../../src/libvirt/virsh-process.ts";

test.each([
  ["project-myapp", "project-myapp"],
  ["--config", "--config"],
  ["/var/lib/a b", "'/var/lib/a b'"],
  ["it's; list", "'it'\\''s; list'"],
  ["", "''"],
  ['{"execute":"guest-ping"}', `'{"execute":"guest-ping"}'`],
])("the word %j is written %s for virsh", (word, quoted) => {
  expect(quoteForVirsh(word)).toBe(quoted);
});

test.each([
  [["dumpxml", "project-myapp", "--inactive"], "dumpxml project-myapp --inactive"],
  [["dumpxml", "--help", "--inactive"], "dumpxml --inactive -- --help"],
  [["vol-list", "--"], "vol-list -- --"],
  [["vol-dumpxml", "--pool", "--pool", "--isos"], "vol-dumpxml --pool --isos -- --pool"],
  [
    ["vol-download", "--x y", "/tmp/start", "--pool", "isos", "--length", "8"],
    "vol-download --pool isos --length 8 -- '--x y' /tmp/start",
  ],
  [["pool-list", "--name", "--all"], "pool-list --name --all"],
])("the command %j is written %s for virsh", (command, line) => {
  expect(lineForVirsh(command)).toBe(line);
  expect(virshInShell("test:///default?a", ...command)).toBe(`virsh -c 'test:///default?a' ${line}`);
});

test.each([
  ["qemu+ssh://root@storage/system", "qemu+ssh://root@storage/system?no_tty=1"],
  ["qemu+ssh://root@storage/system?keyfile=/k", "qemu+ssh://root@storage/system?keyfile=/k&no_tty=1"],
  ["qemu+ssh://root@storage/system?no_tty=1", "qemu+ssh://root@storage/system?no_tty=1"],
  ["qemu:///system", "qemu:///system"],
  ["qemu+unix:///system?socket=/s", "qemu+unix:///system?socket=/s"],
])("%s is asked as %s", (uri, asked) => {
  expect(withoutQuestions(uri)).toBe(asked);
});

test.each([
  ["qemu:///system", true],
  ["qemu+unix:///system?socket=/s", true],
  ["test:///default", true],
  ["qemu+ssh://root@storage/system", false],
  ["qemu+tls://storage/system", false],
  ["qemu://storage/system", false],
])("%s leads to this machine: %s", (uri, local) => {
  expect(isLocal(uri)).toBe(local);
});

test("the reason is the end of what virsh said, without its prefixes and its complaint about the cache that we deny it", () => {
  const said = [
    "error: failed to connect to the hypervisor",
    "error: Failed to connect socket to '/nonexist': No such file or directory",
    "error: Failed to create '/dev/null/libvirt/virsh': Not a directory",
    "",
  ].join("\n");
  expect(reasonIn(said)).toBe(
    "failed to connect to the hypervisor; Failed to connect socket to '/nonexist': No such file or directory",
  );
});

test("an error names the command as it can be pasted, the exit code and the reason", () => {
  expect(new VirshError("qemu:///system", ["dominfo", "a b"], 1, "failed to get domain 'a b'").message).toBe(
    "virsh -c qemu:///system dominfo 'a b' failed (exit code 1): failed to get domain 'a b'",
  );
});

test("what virsh says, which may be a guest's words, is one printable line of some length", () => {
  const error = new VirshError("qemu:///system", ["list"], undefined, `\x1b[2J\nREADY app\u202e${"A".repeat(1e6)}`);
  expect(error.reason).toMatch(/^\\x1b\[2J\\nREADY app\\u\{202e\}A+… \(\d+ more characters\)$/);
  expect(error.message.length).toBeLessThan(2200);
});

/** libvirt's own mock, inside the virsh process: no daemon, no state. */
const uri = "test:///default";

describe.skipIf(!existsSync("/usr/bin/virsh"))("a real virsh", () => {
  test("answers come apart and in order, and a failed command does not stop the rest", async () => {
    const answers = await virshSession(uri, [
      ["list", "--name"],
      ["dominfo", "no such 'domain'; list"],
      ["net-list", "--name"],
      ["echo", "--xml", "<é>"],
      ["domstate", "test"],
    ]);
    expect(answers.map(({ ok, output, error }) => ({ ok, output, error }))).toEqual([
      { ok: true, output: "test", error: "" },
      { ok: false, output: "", error: "failed to get domain 'no such 'domain'; list'" },
      { ok: true, output: "default", error: "" },
      { ok: true, output: "&lt;é&gt;", error: "" },
      { ok: true, output: "running", error: "" },
    ]);
  });

  const acting = ["\n", "\r", "\0", "\x15", "\t", "\x1b", "\x7f", "\x9b"].map(
    (control) => `x${control}net-destroy default`,
  );
  test.each(acting)("the word %j is refused before anything is asked, whichever way it would go", async (word) => {
    const refusal = /^Nothing was asked of libvirt\.\n {2}- virsh echo: must have words without line breaks/;
    const virsh = virshFor(uri);
    await expect(virsh.run("echo", word)).rejects.toThrow(refusal);
    await expect(virsh.runPrivately("echo", word)).rejects.toThrow(refusal);
    await expect(
      virshSession(uri, [
        ["net-destroy", "default"],
        ["echo", word],
      ]),
    ).rejects.toThrow(refusal);
    await expect(virsh.runPrivately("echo", `hush${word}`)).rejects.not.toThrow("hush");
  });

  test.each([
    ["the command fails", "test:///default", "no-such-verb"],
    ["there is no connection", "qemu+unix:///system?socket=/nonexistent/socket", "echo"],
  ])("of a private command an error shows the verb alone when %s", async (_, to, verb) => {
    const error = await virshFor(to)
      .runPrivately(verb, "hush")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(VirshError);
    expect(String(error)).toContain(verb);
    expect(String(error)).not.toContain("hush");
  });

  test.each([
    "a; list",
    "a # b",
    "a\\",
    "it's",
    'a "b" c',
    "virsh # x",
    "$(x) `x` %h",
    "--help",
    "größer 日本",
    "e-1-",
  ])("the word %j stays one, whichever way it goes", async (word) => {
    expect(await virshFor(uri).run("echo", "--", word)).toBe(word);
    expect(await virshFor(uri).runPrivately("echo", "--", word)).toBe(word);
  });

  test.each(["--help", "--", "--pool", "--pool=x", "--socket is closed", "--it's; list", "-h"])(
    "the name %j stays one, whichever way it goes",
    async (name) => {
      for (const verb of ["dominfo", "domstate", "net-dumpxml", "pool-dumpxml", "vol-list"]) {
        const kind = { net: "network", poo: "pool", vol: "pool" }[verb.slice(0, 3)] ?? "domain";
        const refusal = `failed to get ${kind} '${name}'`;
        await expect(virshFor(uri).run(verb, name)).rejects.toThrow(refusal);
        await expect(virshFor(uri).runPrivately(verb, name)).rejects.toThrow(refusal);
      }
      const [answer] = await virshSession(uri, [["vol-dumpxml", name, "--pool", "default-pool"]]);
      expect(answer?.error).toMatch(`failed to get vol '${name}'`);
    },
  );

  test("an output without end is given up, and its virsh ended", { timeout: 120_000 }, async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "virsh-test-"));
    const before = process.env.PATH;
    try {
      await writeFile(path.join(dir, "virsh"), `#!/bin/sh\necho $$ >${dir}/pid\nexec yes\n`, { mode: 0o755 });
      process.env.PATH = `${dir}:${before}`;
      await expect(virshFor(uri).run("list")).rejects.toThrow("an answer of more than 67108864 characters");
      const pid = (await readFile(path.join(dir, "pid"), "utf8")).trim();
      await expect.poll(() => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).toBe("");
    } finally {
      process.env.PATH = before;
      await rm(dir, { recursive: true, force: true });
    }
  });

  test("a batch too long for one argument list is asked in several", async () => {
    const long = "x".repeat(5000);
    const answers = await virshSession(
      uri,
      Array.from({ length: 60 }, (_, i) => ["echo", `${i}${long}`]),
    );
    expect(answers.map(({ output }) => output)).toEqual(Array.from({ length: 60 }, (_, i) => `${i}${long}`));
  });

  test("later commands can depend on earlier answers, and run side by side", async () => {
    const states = await withVirshSession(uri, async (ask) => {
      const [list] = await ask([["list", "--name"]]);
      const name = list?.output ?? "";
      return Promise.all([ask([["domstate", name]]), ask([["domid", name]]), ask([])]);
    });
    expect(states.map((answers) => answers.map(({ output }) => output))).toEqual([["running"], ["1"], []]);
  });

  test("an answer of blanks is one like any other, and holds nothing up", async () => {
    const blanks = " ".repeat(100_000);
    const [answer] = await virshSession(uri, [["echo", "--", `  a${blanks}x  `]]);
    expect(answer?.output).toBe(`  a${blanks}x`);
    expect((await virshSession(uri, [["echo", "--", blanks.slice(0, 100)]]))[0]?.output).toBe("");
  });

  test("run gives the output, or throws what virsh said", async () => {
    const virsh = virshFor(uri);
    await expect(virsh.run("domstate", "test")).resolves.toBe("running");
    await expect(virsh.run("domstate", "nosuch")).rejects.toThrow(
      new VirshError(uri, ["domstate", "nosuch"], undefined, "failed to get domain 'nosuch'", true),
    );
    await expect(virsh.run("list", "--bogus")).rejects.toThrow("command 'list' doesn't support option --bogus");
  });

  test.each([
    ["qemu+unix:///system?socket=/nonexistent/socket", "Failed to connect socket to '/nonexistent/socket'"],
    ["qemu+ssh://root@127.0.0.1:9/system", "Connection refused"],
  ])("%s is not reachable, and that is said at once", async (unreachable, reason) => {
    const started = Date.now();
    await expect(virshFor(unreachable).run("list")).rejects.toThrow(reason);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  test("a host that says nothing is given up when the time is over, and the ssh to it goes too", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "virsh-test-"));
    try {
      // As an ssh to a host that drops packets.
      const ssh = path.join(dir, "ssh");
      await writeFile(ssh, `#!/bin/sh\necho $$ >${dir}/pid\nexec sleep 60\n`, { mode: 0o755 });
      const silent = `qemu+ssh://root@storage/system?command=${encodeURIComponent(ssh)}`;
      await expect(virshFor(silent, 1).run("list")).rejects.toThrow("list failed: no connection within 1 s");
      const pid = (await readFile(path.join(dir, "pid"), "utf8")).trim();
      await expect.poll(() => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).toBe("");
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  test.each([
    ["says so", 'echo "kex_exchange_identification: Connection closed by remote host" >&2; exit 255'],
    ["takes virsh along before it says anything", "kill -KILL $PPID"],
  ])(
    "a log-in that an SSH server turns away (one that %s) is made again; one that it refuses is not",
    async (_, turnAway) => {
      const dir = await mkdtemp(path.join(tmpdir(), "virsh-test-"));
      try {
        const ssh = path.join(dir, "ssh");
        const script = `#!/bin/sh
echo >>${dir}/tries
[ "$(wc -l <${dir}/tries)" -gt 2 ] || { ${turnAway}; }
echo "root@storage: Permission denied (publickey)." >&2
exit 255
`;
        await writeFile(ssh, script, { mode: 0o755 });
        const uri = `qemu+ssh://root@storage/system?command=${encodeURIComponent(ssh)}`;
        await expect(virshFor(uri).run("list")).rejects.toThrow("Permission denied (publickey)");
        expect(await readFile(path.join(dir, "tries"), "utf8")).toBe("\n\n\n");
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    },
  );
});

test.each([
  ["qemu:///system", "qemu+unix:///system", true],
  ["qemu:///system", "qemu:///system?mode=direct", true],
  ["qemu:///system", "qemu:///system?socket=/var/run/libvirt/libvirt-sock", true],
  ["qemu:///system", "qemu+unix:///system?socket=/var/lib/project-vms/a/run/libvirt/libvirt-sock", false],
  ["qemu:///system", "qemu:///system?socket=/run/libvirt/virtqemud-sock", true],
  ["qemu+unix:///system?socket=/proc/self/cwd/sock", `qemu+unix:///system?socket=${process.cwd()}/sock`, true],
  ["qemu+unix:///system?socket=/a//b", "qemu+unix:///system?socket=/a/b&mode=direct", true],
  ["qemu:///system", "qemu+ssh://root@localhost/system", true],
  ["qemu+ssh://root@Storage/system", "qemu+libssh2://eva@storage:2222/system?keyfile=/k", true],
  ["qemu+ssh://root@storage/system", "qemu+ssh://root@Storage./system", true],
  ["qemu+ssh://root@storage/system", "qemu+ssh://root@storage.lan/system", true],
  ["qemu+ssh://root@storage.lan/system", "qemu+ssh://root@storage.lan.example.com./system", true],
  ["qemu:///system", "qemu+ssh://root@localhost./system", true],
  ["qemu+ssh://root@storage.lan/system", "qemu+ssh://root@storage.example.com/system", false],
  ["qemu+ssh://root@storage/system", "qemu+ssh://root@storage2.lan/system", false],
  ["qemu:///system", "qemu+ssh://root@storage.lan/system", false],
  ["qemu+ssh://root@storage/system", "qemu+ssh://root@raider/system", false],
  ["qemu:///system", "qemu+ssh://root@storage/system", false],
])("%s and %s may lead to the same libvirt: %s", (one, other, may) => {
  expect([mayBeSameLibvirt(one, other), mayBeSameLibvirt(other, one)]).toEqual([may, may]);
});
