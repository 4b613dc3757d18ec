import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { requireOwnQemuId, takeUserId, userIdOf } from "../../../src/embedded-host/embedded-users.ts";

const first = 65_520;
let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "user-ids-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

function host(name: string) {
  const dir = path.join(root, name);
  mkdirSync(dir, { recursive: true });
  return { dir };
}
const noProcess = () => new Set<number>();

/** Has a `getent` that does as given. */
function getent(does: string) {
  const bin = path.join(root, "bin");
  mkdirSync(bin);
  writeFileSync(path.join(bin, "getent"), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
}

test.each([
  [
    "subuid",
    "alice:10000:65536\n",
    ["must give the ID 64055, which guests run as, to no user's containers, but gives alice 10000-75535"],
  ],
  [
    "subgid",
    "# a comment\nalice:64055:1\n1001:64000:100\n",
    ["but gives alice 64055-64055", "but gives 1001 64000-64099"],
  ],
  ["subuid", "root:1:4294967294\n0:64055:1\nalice:64056:65536\nbob:63055:1000\n", []],
])("a host does not start where %s gives guests' own ID to another user: %j", (name, text, expected) => {
  writeFileSync(path.join(root, name), text);
  if (expected.length === 0) return expect(() => requireOwnQemuId(root)).not.toThrow();
  for (const one of expected) expect(() => requireOwnQemuId(root)).toThrow(one);
  expect(() => requireOwnQemuId(root)).toThrow(`: usermod --del-${name}s `);
});

describe("the user of a host's program", () => {
  test("is no other program's, of no other host either, and stays the same over restarts", async () => {
    const ids = [
      await takeUserId(host("a"), "dnsmasq", { idsInUse: noProcess }),
      await takeUserId(host("a"), "uplink", { idsInUse: noProcess }),
      await takeUserId(host("b"), "dnsmasq", { idsInUse: noProcess }),
    ];
    expect(ids).toEqual([first, first + 1, first + 2]);
    rmSync(host("a").dir, { recursive: true });
    expect(await takeUserId(host("b"), "dnsmasq", { idsInUse: noProcess })).toBe(first + 2);
    expect(userIdOf(host("b"), "dnsmasq")).toBe(first + 2);
    expect(readdirSync(root)).toEqual(["b"]);
  });

  test("is another one where two hosts start at once", async () => {
    const ids = await Promise.all(
      ["a", "b", "c"].map((name) => takeUserId(host(name), "uplink", { idsInUse: noProcess })),
    );
    expect(new Set(ids).size).toBe(3);
  });

  test.each([
    ["a process took it since", `${first}`, first + 1],
    ["what is in its file is none of ours", "65534", first],
    ["its file holds no number", "root", first],
  ])("is another one where %s", async (_, stored, taken) => {
    writeFileSync(path.join(host("a").dir, "uplink-user"), `${stored}\n`);
    const inUse = () => new Set(stored === `${first}` ? [first] : []);
    expect(await takeUserId(host("a"), "uplink", { idsInUse: inUse })).toBe(taken);
    expect(userIdOf(host("a"), "uplink")).toBe(taken);
  });

  test("is none that a process of this machine has, as its user or its group", async () => {
    const ids = ["--reuid=65520", "--regid=65521", "--clear-groups"];
    const child = spawn("setpriv", [...ids, "sh", "-c", "echo up; exec sleep 600"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      await once(child.stdout, "data");
      expect(await takeUserId(host("a"), "uplink")).toBeGreaterThan(first + 1);
    } finally {
      child.kill();
    }
  });

  test("is of another range where all of the first one are taken, and none that a user has or that cannot be asked", async () => {
    const all = new Set(Array.from({ length: 12 }, (_, i) => first + i));
    expect(await takeUserId(host("a"), "uplink", { idsInUse: () => all })).toBe(65_536);
    getent('[ "$2" != 65536 ] || exit 0\n[ "$2" != 65537 ] || exit 3\nexit 2');
    expect(await takeUserId(host("b"), "uplink", { idsInUse: () => new Set([...all, 65_538]) })).toBe(65_539);
  });

  test("is asked for beside other work: whoever waits for a directory's server renews its lock", async () => {
    const gates = ["passwd", "group"].map((table) => path.join(root, table));
    for (const gate of gates) execFileSync("mkfifo", [gate]);
    getent(`timeout 5 cat "${root}/$1" >/dev/null || touch "${root}/late"; exit 2`);
    const opened = gates.map((gate) => writeFile(gate, "answer"));
    expect(await takeUserId(host("a"), "uplink", { idsInUse: noProcess })).toBe(first);
    await Promise.all(opened);
    expect(existsSync(path.join(root, "late"))).toBe(false);
  });

  test("is none where no answer comes, and that is said", async () => {
    getent("exec sleep 600");
    await expect(takeUserId(host("a"), "uplink", { idsInUse: noProcess, askSeconds: 0.2 })).rejects.toThrow(
      [
        "The embedded host needs a user ID that nothing else has.",
        "  - getent: must tell within 0.2 s whether a user or a group has the number 65520",
        "    ask it yourself: `getent passwd 65520`; what it asks in turn is in /etc/nsswitch.conf",
      ].join("\n"),
    );
  });

  test("is none of the files of a machine without getent, as one of musl's may be", async () => {
    vi.stubEnv("PATH", root);
    writeFileSync(path.join(root, "passwd"), "root:x:0:0::/:/bin/sh\nuser:x:65520:1000::/:/bin/sh\n");
    writeFileSync(path.join(root, "group"), "group:x:65521:\n");
    expect(await takeUserId(host("a"), "uplink", { idsInUse: noProcess, etc: root })).toBe(first + 2);
    expect(await takeUserId(host("b"), "uplink", { idsInUse: noProcess, etc: path.join(root, "none") })).toBe(first);
  });

  test.each<[string, Record<string, string>, number]>([
    ["has none", { subuid: "" }, first],
    ["has lines that are none", { subuid: "# alice:65520:10\n\nalice:65520\nalice:a:b\n" }, first],
    ["has them elsewhere", { subuid: "alice:100000:65536\nbob:55520:10000\n" }, first],
    ["begins in between", { subuid: "alice:65521:1\nbob:65520:1" }, first + 2],
    ["has all of the first range", { subuid: "alice:10000:65536\n" }, 75_536],
    ["has groups alone", { subgid: "1000:65520:4\n" }, first + 4],
    ["has all that is below other subordinate IDs", { subuid: "dockremap:10000:1000000\n" }, 2_100_000_000],
    ["is root", { subuid: "root:65520:4\n" }, first + 4],
    ["is root, and has all", { subuid: "0:1:4294967294\nalice:65520:4\n" }, first + 4],
  ])("is none that another user may run a container as (/etc/subuid: who %s)", async (_, files, taken) => {
    const etc = path.join(root, "etc");
    mkdirSync(etc);
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(etc, name), text);
    writeFileSync(path.join(host("hosts/a").dir, "uplink-user"), `${first}\n`);
    expect(await takeUserId(host("hosts/a"), "uplink", { idsInUse: noProcess, etc })).toBe(taken);
  });

  test("is none where another user may run containers as all of them, and that is said", async () => {
    writeFileSync(path.join(root, "subgid"), "alice:1:4294967294\n");
    const { dir } = host("hosts/a");
    await expect(takeUserId({ dir }, "uplink", { idsInUse: noProcess, etc: root })).rejects.toThrow(
      [
        "The embedded host needs a user ID that nothing else has.",
        `  - ${dir}/uplink-user: must hold a free one of 65520 to 65531, 65536 to 99999, 2100000000 to 2100000099, but all are in use, or another user's by /etc/subuid or /etc/subgid, or \`getent\` does not tell`,
        "    free one: see what has them with `getent passwd`, `ps -eo uid,pid,comm` and `cat /etc/subuid /etc/subgid`",
      ].join("\n"),
    );
  });
});

describe("whom an embedded host knows", () => {
  const functions = readFileSync("src/embedded-host/embedded-inside.sh", "utf8").replace(/^main "\$@"$/m, "");

  /** What `script` prints in a mount namespace whose /etc/passwd begins as given, after the host has had its users known. */
  async function inside(
    script: string,
    passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/none:/bin/false\n",
    before = ":",
  ) {
    mkdirSync(path.join(root, "run"));
    writeFileSync(path.join(root, "dnsmasq-user"), "65525\n");
    writeFileSync(path.join(root, "passwd"), passwd);
    writeFileSync(path.join(root, "group"), "root:x:0:\n");
    const words = `${before} && cd "$1/run" && mount --bind ../passwd /etc/passwd && mount --bind ../group /etc/group && eval "$2" && know_users && ${script}`;
    return (await execa("unshare", ["--mount", "sh", "-c", words, "sh", root, functions])).stdout.split("\n");
  }

  test("is libvirt-qemu, and another `nobody` than the machine's, whom dnsmasq becomes", async () => {
    expect(
      await inside("getent passwd nobody libvirt-qemu && getent group libvirt-qemu && stat -c %a /etc/passwd"),
    ).toEqual([
      "nobody:x:65525:65534:nobody:/none:/bin/false",
      "libvirt-qemu:x:64055:64055:Libvirt Qemu:/var/lib/libvirt:/usr/sbin/nologin",
      "libvirt-qemu:x:64055:",
      "644",
    ]);
    expect(readFileSync(path.join(root, "passwd"), "utf8")).toContain("nobody:x:65534:");
  });

  const ofPackages =
    "dnsmasq:x:998:997:Dnsmasq:/var/lib/dnsmasq:/bin/false\nlibvirt-dnsmasq:x:118:124:Libvirt Dnsmasq:/:/bin/false\n";

  test.each([65_534, 65_525])(
    "is another user than the machine's, too, that dnsmasq becomes elsewhere (%i)",
    async (nobody) => {
      const passwd = `root:x:0:0:root:/root:/bin/sh\nnobody:x:${nobody}:65534:nobody:/none:/bin/false\nlibvirt-qemu:x:64055:64055::/:/bin/false\n`;
      // A name that only holds one of these is another's.
      const others = "my-dnsmasq:x:1001:1001::/:/bin/false";
      const known = await inside(
        "getent passwd dnsmasq libvirt-dnsmasq nobody my-dnsmasq",
        `${passwd}${ofPackages}${others}\n`,
      );
      expect(known).toEqual([
        "dnsmasq:x:65525:997:Dnsmasq:/var/lib/dnsmasq:/bin/false",
        "libvirt-dnsmasq:x:65525:124:Libvirt Dnsmasq:/:/bin/false",
        "nobody:x:65525:65534:nobody:/none:/bin/false",
        others,
      ]);
    },
  );

  test("holds where the machine knows no nobody", async () => {
    const [nobody] = await inside("getent passwd nobody", "root:x:0:0:root:/root:/bin/sh\n");
    expect(nobody).toMatch(/^nobody:x:65525:65534:/);
  });

  const noNames = "root:x:0:0:root:/root:/bin/sh\n";

  test("is another user than the machine's where its files do not have what dnsmasq becomes, but something else may (altfiles, sss)", async () => {
    const names = ["nobody", "dnsmasq", "libvirt-dnsmasq"];
    const known = await inside(`getent passwd ${names.join(" ")}`, noNames);
    expect(known).toEqual(names.map((name) => `${name}:x:65525:65534:${name}:/:/usr/sbin/nologin`));
  });

  test.each([
    ["passwd: systemd files", "passwd: files systemd files"],
    [" passwd:\tsss [NOTFOUND=continue] files", " passwd: files\tsss [NOTFOUND=continue] files"],
    ["passwd:     files systemd", "passwd:     files systemd"],
    ["group: files", "group: files"],
  ])("is asked of the files first, also on a machine with '%s'", async (line, asked) => {
    writeFileSync(path.join(root, "nsswitch.conf"), `${line}\nshadow: files\n`);
    const again = "know_users && getent passwd nobody | cut -d : -f 1-3 && cat /etc/nsswitch.conf";
    const bind = 'mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf';
    expect(await inside(again, undefined, bind)).toEqual(["nobody:x:65525", asked, "shadow: files"]);
  });

  test("is known again once the machine got a user, and nothing is mounted twice", async () => {
    // Only what is mounted last goes, as where its file is replaced.
    const again =
      "umount /etc/passwd && know_users && know_users && getent passwd nobody && grep -c ' /etc/passwd ' /proc/self/mountinfo";
    expect(await inside(again)).toEqual(["nobody:x:65525:65534:nobody:/none:/bin/false", "2"]);
  });
});
