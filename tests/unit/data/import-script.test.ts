import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { imageOn } from "../../e2e/support/image-header.ts";

const script = path.resolve("data/import.sh");
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

const importOf = (file: string) =>
  execa("sh", [script, "webapp", path.join(dir, "vms"), "qemu:///none", file], {
    reject: false,
    timeout: 10_000,
    env: { PATH: `${path.join(dir, "bin")}:${process.env.PATH}` },
  });

describe("an image on the host", () => {
  const needsOne = "must not need another file beside it\nremedy: make it one: qemu-img convert -O qcow2";
  test.each<[string, () => Buffer, string]>([
    [
      "that is text",
      () => Buffer.from("x".repeat(1000)),
      "must be a qcow2 image\nremedy: convert it: qemu-img convert -O qcow2",
    ],
    ["that is empty", () => Buffer.alloc(0), "must be a qcow2 image\nremedy: convert it: qemu-img convert -O qcow2"],
    ["that stands on another", () => imageOn(fifo()), needsOne],
    ["whose data is elsewhere", () => imageWithDataFile(fifo()), needsOne],
  ])("%s is refused, and what it names is not opened", async (_, bytes, reason) => {
    const file = path.join(dir, "image.qcow2");
    writeFileSync(file, bytes());
    const { exitCode, stderr } = await importOf(file);
    expect([exitCode, stderr]).toEqual([1, `error: ${file}: ${reason}`]);
    expect(existsSync(path.join(dir, "vms/webapp"))).toBe(false);
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
    const swap = `[ "$1" != convert ] || ${how} '${other}' '${file}'; exec /usr/bin/qemu-img "$@"`;
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
    const user = execa("qemu-io", ["-f", "qcow2", file], { reject: false });
    const shown = new Promise((resolve) => user.stdout.once("data", resolve));
    user.stdin.write("help\n");
    await shown;
    const { exitCode, stderr } = await importOf(file);
    user.stdin.end();
    await user;
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
});
