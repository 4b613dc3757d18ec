import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scriptText } from "../../../src/project-disks/host-script.ts";
import { imageOn } from "../../e2e/support/image-header.ts";
import { withLimits } from "./limits.ts";

const nobody = 65534;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "import script "));
  await execa("mkfifo", [fifo()]);
  mkdirSync(path.join(dir, "bin"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** At which whoever opens it waits for good. */
const fifo = () => path.join(dir, "fifo");

/** The beginning of an image of version 3 whose data is in a file of its own: docs/interop/qcow2.txt of QEMU. */
function imageWithDataFile(name: string): Buffer {
  const image = imageOn("");
  image.writeUInt32BE(3, 4);
  image.writeBigUInt64BE(0n, 8);
  image.writeBigUInt64BE(4n, 72);
  // Bits of a refcount, bytes of the header, and its extension that names the file.
  image.writeUInt32BE(4, 96);
  image.writeUInt32BE(104, 100);
  image.writeUInt32BE(0x44415441, 104);
  image.writeUInt32BE(name.length, 108);
  image.write(name, 112);
  return image;
}

const virsh = '#!/bin/sh\ncase $* in *pool-info*) echo "State: running" ;; esac\n';

const importOf = (file: string, text = scriptText("import.sh"), more: { args?: string[]; input?: Buffer } = {}) =>
  execa("sh", ["-c", text, "import.sh", "webapp", path.join(dir, "vms"), "qemu:///none", file, ...(more.args ?? [])], {
    reject: false,
    timeout: 10_000,
    input: more.input ?? "",
    env: { PATH: `${path.join(dir, "bin")}:${process.env.PATH}` },
  });

/** The same while a program has the image open to write to it. */
async function importInUse(file: string) {
  const user = execa("qemu-io", ["-f", "qcow2", file], { reject: false });
  const shown = new Promise((resolve) => user.stdout.once("data", resolve));
  user.stdin.write("help\n");
  await shown;
  const ended = await importOf(file);
  user.stdin.end();
  await user;
  return ended;
}

/** Puts a program of that name before those of the machine. */
const fake = (name: string, text: string) =>
  writeFileSync(path.join(dir, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

test("a folder of somebody else's, which libvirt has no pool on, is refused and left as it is", async () => {
  const folder = path.join(dir, "vms/webapp");
  mkdirSync(path.join(folder, "html"), { recursive: true });
  for (const name of ["disk.qcow2", "project.qcow2.partial"]) writeFileSync(path.join(folder, name), "theirs");
  const image = path.join(dir, "image.qcow2");
  await execa("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
  fake("virsh", "exit 1");
  const { exitCode, stderr } = await importOf(image);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: `error: ${folder}: must have nothing in it before libvirt has the pool project-webapp there, but has disk.qcow2 html\nremedy: move that elsewhere, or import it as another project's`,
  });
  expect(readdirSync(folder).sort()).toEqual(["disk.qcow2", "html", "project.qcow2.partial"]);
});

/** What is to be done with an image: by its owner. */
const command = "qemu-img convert -O qcow2";
const mends = (what: string, owner = process.getuid?.() ?? 0) =>
  owner === 0
    ? `where you know what it names, ${what}: ${command}`
    : `have its owner ${what}, not root, who may read more: sudo -u '#${owner}' ${command}`;

describe("an image on the host", () => {
  const needsOne = `must not need another file beside it\nremedy: ${mends("make it one")}`;
  test.each<[string, () => Buffer, string]>([
    ["that is text", () => Buffer.from("x".repeat(1000)), `must be a qcow2 image\nremedy: ${mends("convert it")}`],
    ["that is empty", () => Buffer.alloc(0), `must be a qcow2 image\nremedy: ${mends("convert it")}`],
    ["that stands on another", () => imageOn(fifo()), needsOne],
    ["whose data is elsewhere", () => imageWithDataFile(fifo()), needsOne],
  ])("%s is refused, and what it names is not opened", async (_, bytes, reason) => {
    const file = path.join(dir, "image.qcow2");
    writeFileSync(file, bytes());
    const { exitCode, stderr } = await importOf(file);
    expect([exitCode, stderr]).toEqual([1, `error: ${file}: ${reason}`]);
    expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
  });

  // Root would read what the header names into the image that it then imports.
  test.skipIf(process.getuid?.() !== 0).each<[string, number, number, string]>([
    ["is its user's to mend", nobody, 0o644, mends("make it one", nobody)],
    ["that others may write to is nobody's to mend here", 0, 0o666, `have whoever made it make it one: ${command}`],
    [
      "of a user that others may write to is not the user's",
      nobody,
      0o664,
      `have whoever made it make it one: ${command}`,
    ],
  ])("on a file that its owner may not read %s", async (_, owner, mode, remedy) => {
    const file = path.join(dir, "image.qcow2");
    writeFileSync(file, imageOn("/etc/shadow"));
    chownSync(file, owner, owner);
    chmodSync(file, mode);
    const { stderr } = await importOf(file);
    expect(stderr).toBe(`error: ${file}: must not need another file beside it
remedy: ${remedy}`);
  });

  test.skipIf(process.getuid?.() !== 0).each([
    ["puts another in its place", "mv", 0],
    ["puts another in its place", "mv", nobody],
    ["writes another into it", "cp", nobody],
  ])("is taken as it was examined, though somebody %s meanwhile (%s, user %i)", async (_, how, owner) => {
    const [file, other, secret] = ["image.qcow2", "other.qcow2", "secret"].map((name) => path.join(dir, name)) as [
      string,
      string,
      string,
    ];
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    chownSync(file, owner, owner);
    writeFileSync(secret, "secret".repeat(100_000));
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", other]);
    const swap = `[ "$1 $3" != "convert qcow2" ] || ${how} '${other}' '${file}'; exec /usr/bin/qemu-img "$@"`;
    writeFileSync(path.join(dir, "bin/qemu-img"), `#!/bin/sh\n${swap}\n`, { mode: 0o755 });
    writeFileSync(path.join(dir, "bin/virsh"), virsh, { mode: 0o755 });
    expect(await importOf(file)).toMatchObject({ exitCode: 0, stdout: String(2 ** 20) });
    const raw = path.join(dir, "raw");
    await execa("/usr/bin/qemu-img", ["convert", "-O", "raw", path.join(dir, "vms/webapp/project.qcow2"), raw]);
    expect(readFileSync(raw).every((byte) => byte === 0)).toBe(true);
  });

  describe("that is reached by a link is refused, for that may be another's who may not read it:", () => {
    let secret: string;
    beforeEach(async () => {
      secret = path.join(dir, "secret/image.qcow2");
      mkdirSync(path.dirname(secret));
      await execa("qemu-img", ["create", "-q", "-f", "qcow2", secret, "1M"]);
      writeFileSync(path.join(dir, "bin/virsh"), virsh, { mode: 0o755 });
    });

    async function expectRefused(file: string) {
      const { exitCode, stderr } = await importOf(file);
      const rule = "must be the path of the file itself, with no link in it";
      expect([exitCode, stderr]).toEqual([1, `error: ${file}: ${rule}\nremedy: name it by its own: ${secret}`]);
      expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
    }

    test.each([
      ["to the file", "link.qcow2", "secret/image.qcow2"],
      ["to its folder", "link/image.qcow2", "secret"],
    ])("%s", async (_, name, target) => {
      symlinkSync(path.join(dir, target), path.join(dir, name.split("/")[0] ?? ""));
      await expectRefused(path.join(dir, name));
    });

    test("behind another link", async () => {
      symlinkSync(path.join(dir, "secret"), path.join(dir, "another's"));
      symlinkSync(path.join(dir, "another's"), path.join(dir, "images"));
      await expectRefused(path.join(dir, "images/image.qcow2"));
    });

    test("also when another file has its place as soon as it is open", async () => {
      const file = path.join(dir, "link.qcow2");
      symlinkSync(secret, file);
      await execa("qemu-img", ["create", "-q", "-f", "qcow2", `${file}.plain`, "1M"]);
      const swap = `#!/bin/sh\nmv '${file}.plain' '${file}'; exec /usr/bin/readlink "$@"\n`;
      writeFileSync(path.join(dir, "bin/readlink"), swap, { mode: 0o755 });
      await expectRefused(file);
    });

    test("but not by another way to write its path", async () => {
      expect(await importOf(`${dir}/bin/..//secret/./image.qcow2`)).toMatchObject({ exitCode: 0 });
    });
  });

  test.each([["/dev/zero"], [""]])("whose digest is to come from what never ends is refused (%s)", async (device) => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    symlinkSync(device || fifo(), `${file}.sha512`);
    const { exitCode, stderr } = await importOf(file);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`error: ${file}.sha512: must be a file\n`)]);
  });

  test("whose digest is another is refused", async () => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    writeFileSync(`${file}.sha512`, `${"0".repeat(128)}  image.qcow2\n`);
    expect((await importOf(file)).stderr).toContain("must have the SHA-512 that");
    const { stdout: digest } = await execa("sha512sum", [file]);
    writeFileSync(`${file}.sha512`, digest.toUpperCase());
    writeFileSync(path.join(dir, "bin/virsh"), virsh, { mode: 0o755 });
    expect(await importOf(file)).toMatchObject({ exitCode: 0 });
  });

  test("that is in use is refused, and stays", async () => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    const { exitCode, stderr } = await importInUse(file);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("Failed to get shared")]);
    expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
    expect(existsSync(file)).toBe(true);
  });

  test.each(["received", "partial"])(
    "that an import which was cut off has left is refused, and stays (%s)",
    async (end) => {
      const file = path.join(dir, `vms/webapp/project.qcow2.${end}`);
      mkdirSync(path.dirname(file), { recursive: true });
      await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
      const { exitCode, stderr } = await importOf(file);
      const rule = "must not be what an import that was cut off has left there";
      expect([exitCode, stderr]).toEqual([1, `error: ${file}: ${rule}\nremedy: move it elsewhere first`]);
      expect(existsSync(file)).toBe(true);
    },
  );

  test.each(["0.10", "1.1"])("that stands by itself is taken (compat %s)", async (compat) => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `compat=${compat}`, file, "1M"]);
    writeFileSync(path.join(dir, "bin/virsh"), virsh, { mode: 0o755 });
    expect(await importOf(file)).toMatchObject({ exitCode: 0, stdout: String(2 ** 20) });
    expect(readdirSync(path.join(dir, "vms/webapp"))).toEqual(["project.qcow2"]);
  });

  test("that never lets itself be examined is refused in time", async () => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    for (const verb of ["info", "check", "measure", "convert"]) {
      fake("qemu-img", `[ "$1" != ${verb} ] || exec sleep 60; exec /usr/bin/qemu-img "$@"`);
      const text = withLimits(scriptText("import.sh"), { ANSWER: 1, EXAMINE: 1, UNPACK: 1 });
      const { exitCode, stderr } = await importOf(file, text);
      expect([verb, exitCode, stderr]).toEqual([verb, 1, expect.stringMatching(/^error: .*: must .* within 1 s/m)]);
    }
    expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
  });

  test("whose check would take all the memory is refused", async () => {
    const file = path.join(dir, "image.qcow2");
    const smallest = "cluster_size=512,refcount_bits=64";
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", "-o", smallest, file, "1M"]);
    truncateSync(file, 96 * 2 ** 30);
    const { exitCode, stderr } = await importOf(file);
    const rule =
      "must let itself be checked by qemu-img within 3600 s and 1024 MiB of memory, but does not (exit code 1)";
    const remedy = "take another backup, or have whoever made the image rewrite it: qemu-img convert -O qcow2";
    expect([exitCode, stderr]).toEqual([1, `error: ${file}: ${rule}\nremedy: ${remedy}`]);
  });

  test("of 1 TiB in clusters of the usual size is checked with the memory that there is", async () => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    truncateSync(file, 2 ** 40);
    fake("virsh", virsh.split("\n")[1] ?? "");
    expect(await importOf(file)).toMatchObject({ exitCode: 0, stdout: String(2 ** 20) });
  });

  test("in whose place a pipe is put before it is opened holds nobody up", async () => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    const isFile = '[ -f "$source" ]';
    expect(scriptText("import.sh")).toContain(isFile);
    const text = scriptText("import.sh").replace(isFile, () => `mv '${fifo()}' "$source"`);
    const { exitCode, stderr } = await importOf(file, withLimits(text, { ANSWER: 1 }));
    expect([exitCode, stderr]).toEqual([
      1,
      `error: ${file}: must be a file on the host\nremedy: name one that is there`,
    ]);
  });

  test.skipIf(process.getuid?.() !== 0)("that has another name is taken from a place of root's only", async () => {
    const [own, other] = [path.join(dir, "own"), path.join(dir, "other's")];
    for (const folder of [own, other]) mkdirSync(folder);
    const [first, second] = [path.join(own, "image.qcow2"), path.join(other, "image.qcow2")];
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", first, "1M"]);
    linkSync(first, second);
    fake("virsh", virsh.split("\n")[1] ?? "");
    // Whatever is above the folder of the test.
    fake("find", `case $2 in '${dir}'/* | /proc/*) exec /usr/bin/find "$@" ;; esac`);
    const refused = (file: string) => ({
      exitCode: 1,
      stderr: `error: ${file}: must have no other name (a hard link), which another user may have made\nremedy: name a copy of it, if it is the file that you mean`,
    });
    for (const [folder, owner, mode] of [
      [other, nobody, 0o755],
      [other, 0, 0o1777],
    ] as const) {
      chownSync(folder, owner, owner);
      chmodSync(folder, mode);
      expect(await importOf(second)).toMatchObject(refused(second));
    }
    chownSync(first, nobody, nobody);
    expect(await importOf(first)).toMatchObject(refused(first));
    expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
    chownSync(first, 0, 0);
    expect(await importOf(first)).toMatchObject({ exitCode: 0 });
  });

  describe.skipIf(process.getuid?.() !== 0)("of another user", () => {
    let file: string;
    beforeEach(async () => {
      file = path.join(dir, "image.qcow2");
      await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
      chownSync(file, nobody, nobody);
      fake("virsh", virsh.split("\n")[1] ?? "");
    });
    const received = () => path.join(dir, "vms/webapp/project.qcow2.received");

    const copied = "must be readable within 86400 s, in use by no other program, and must not grow while it is copied";
    const refusal = () =>
      `error: ${file}: ${copied}\nremedy: see what qemu-img says above; who has it: fuser -v '${file}'`;

    test("is read by QEMU's programs as plain bytes until it is copied, and to its last byte", async () => {
      const bytes = Buffer.concat([readFileSync(file), Buffer.from("end")]);
      writeFileSync(file, bytes);
      writeFileSync(`${file}.sha512`, (await execa("sha512sum", [file])).stdout);
      fake("qemu-img", `echo "$*" >>'${dir}/asked'; exec /usr/bin/qemu-img "$@"`);
      expect(await importOf(file)).toMatchObject({ exitCode: 0 });
      const asked = readFileSync(path.join(dir, "asked"), "utf8").split("\n");
      expect(asked.filter((words) => words.includes("/proc/self/fd"))).toEqual([
        `convert -f raw -O raw /proc/self/fd/8 ${received()}`,
      ]);
    });

    test.each(["fuseblk", "nfs", "cifs", "smb2", "v9fs"])(
      "is copied first, whoever's it says that it is, from a filesystem whose word that is: %s",
      async (kind) => {
        chownSync(file, 0, 0);
        chmodSync(file, 0o600);
        expect((await importOf(file)).stderr).not.toContain("copying");
        rmSync(path.join(dir, "vms"), { recursive: true });
        fake("stat", `case " $* " in *" -f "*) echo ${kind} ;; *) exec /usr/bin/stat "$@" ;; esac`);
        const { exitCode, stderr } = await importOf(file);
        expect([exitCode, stderr]).toEqual([0, expect.stringContaining("copying, since other users than root may")]);
      },
    );

    test("that is in use is refused", async () => {
      const { exitCode, stderr } = await importInUse(file);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(refusal())]);
      expect(stderr).toContain('Failed to get shared "write" lock');
    });

    test("that leads elsewhere as soon as it was looked at is refused, and what it names is not opened", async () => {
      const other = path.join(dir, "other.qcow2");
      writeFileSync(other, imageOn(fifo()));
      fake("qemu-img", `cp '${other}' '${file}'; exec /usr/bin/qemu-img "$@"`);
      const { exitCode, stderr } = await importOf(file);
      const rule = "must not need another file beside it";
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`error: ${file}: ${rule}`)]);
      expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
    });

    test("is copied with the holes that it has", async () => {
      truncateSync(file, 2 ** 30);
      fake("qemu-img", `[ "$3" != qcow2 ] || stat -c '%s %b' '${received()}' >&2; exec /usr/bin/qemu-img "$@"`);
      const { exitCode, stderr } = await importOf(file);
      const [, size, blocks] = /^(\d+) (\d+)$/m.exec(stderr) ?? [];
      expect([exitCode, Number(size)]).toEqual([0, 2 ** 30]);
      expect(Number(blocks)).toBeLessThan(4096);
    });

    test("that grows while it is copied takes no more room than was looked for", async () => {
      fake("df", `truncate -s 1G '${file}'; exec /bin/df "$@"`);
      const { exitCode, stderr } = await importOf(file);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(refusal())]);
      expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
    });

    test("is not begun without room for all that may be in its holes", async () => {
      truncateSync(file, 2 ** 40);
      fake("df", "echo header; echo '/dev/x 100 40 60000000 40% /vms'");
      const { stderr } = await importOf(file);
      expect(stderr).toBe(
        `error: ${path.join(dir, "vms/webapp")}: must have 1049088 MiB free, but has 58593 MiB\nremedy: free space there; a file that root alone may write to is not copied`,
      );
    });
  });

  test("that is streamed is taken as far as was announced", async () => {
    const file = path.join(dir, "image.qcow2");
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
    const bytes = readFileSync(file);
    const { stdout: digest } = await execa("sha512sum", [file]);
    fake("qemu-img", `[ "$1" != convert ] || stat -c 'has %s' "$6" >&2; exec /usr/bin/qemu-img "$@"`);
    fake("virsh", virsh.split("\n")[1] ?? "");
    const input = Buffer.concat([bytes, Buffer.alloc(2 ** 20)]);
    const args = [String(statSync(file).size), digest.slice(0, 128), file];
    const { exitCode, stderr } = await importOf("-", undefined, { args, input });
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining(`has ${bytes.length}`)]);
  });
});
