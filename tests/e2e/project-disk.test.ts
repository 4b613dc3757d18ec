import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const guestScript = path.resolve(import.meta.dirname, "../../src/cloud-init/guest/disk");
const MiB = 2 ** 20;
let dir: string;
let disk: string;
let loop: string;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "project-disk-"));
  disk = path.join(dir, "disk");
  closeSync(openSync(disk, "w"));
  truncateSync(disk, 96 * MiB);
  loop = execaSync("losetup", ["--find", "--show", disk]).stdout;
});
afterEach(() => {
  execaSync("losetup", ["--detach", loop]);
  rmSync(dir, { recursive: true });
});

/**
 * A mount namespace in which the script sees a machine like the guest: the disk under its serial, the user dev, an
 * empty /home. Nothing of it is left outside.
 */
const inGuest = `
set -e
minor=\${LOOP#/dev/loop}
mount -t tmpfs tmpfs /etc
echo "root:x:0:0::/root:/bin/sh
dev:x:1000:1000::/home/dev:/bin/sh" >/etc/passwd
echo "root:x:0:
dev:x:1000:" >/etc/group
mkdir /etc/project-vm
echo DISK_SERIAL=project-test >/etc/project-vm/settings
mount -t tmpfs tmpfs /home
mount -t tmpfs tmpfs /dev
mknod /dev/null c 1 3
mknod /dev/zero c 1 5
mknod "$LOOP" b 7 "$minor"
mkdir -p /dev/disk/by-id
ln -s "$LOOP" /dev/disk/by-id/virtio-project-test
# Growing a mounted filesystem is the kernel's privilege, which a sandbox may lack: real guests do it.
mkdir /dev/bin
ln -s /bin/true /dev/bin/resize2fs
PATH=/dev/bin:$PATH
/bin/sh "$SCRIPT"
sh -c "$THEN"
`;

/** Runs the script on the disk and then a command, as a boot of the guest would; a failed script ends it. */
function boot(then = "true") {
  const env = { LOOP: loop, SCRIPT: guestScript, THEN: `cd /home/dev/project && { ${then}; }` };
  return execa("unshare", ["--mount", "--propagation", "private", "bash", "-c", inGuest], {
    env,
    reject: false,
    all: true,
  });
}

const digest = () => createHash("sha256").update(readFileSync(disk)).digest("hex");

/** Puts bytes on the disk, through the loop device, as somebody else's data. */
function write(offset: number, data: Buffer): void {
  const file = openSync(loop, "r+");
  writeSync(file, data, 0, data.length, offset);
  closeSync(file);
  execaSync("sync", [loop]);
}

describe("the project disk, at a boot of its guest", () => {
  test("is formatted when it is blank, and mounted as dev's", async () => {
    const { exitCode, all } = await boot("stat --format %U . && findmnt --noheadings --output FSTYPE,LABEL .");
    expect(exitCode, all).toBe(0);
    expect(all).toContain("it is blank, so /dev/disk/by-id/virtio-project-test is formatted");
    expect(all).toMatch(/dev\next4 +project/);
  });

  test("keeps its files at the next boot, and at the next but one", async () => {
    await boot("echo precious > work");
    for (const _ of [1, 2]) {
      const { exitCode, all } = await boot("cat work");
      expect(exitCode, all).toBe(0);
      expect(all).toContain("precious");
      expect(all).not.toContain("formatted");
    }
  });

  const foreign: [what: string, put: () => void][] = [
    ["a filesystem that is not ours", () => execaSync("mkfs.ext4", ["-q", "-F", "-L", "mine", loop])],
    ["another kind of filesystem or swap", () => execaSync("mkswap", [loop])],
    ["a partition table", () => execaSync("sfdisk", ["--quiet", loop], { input: "label: gpt\n,32M\n" })],
    ["data at the start that nobody knows", () => write(4096, Buffer.from("a database of our own making"))],
    ["data at the very end", () => write(96 * MiB - 512, Buffer.from("backup header"))],
    ["data in the middle", () => write(40 * MiB, Buffer.alloc(20 * MiB, 7))],
  ];

  test.each(foreign)("with %s on it is left alone, to the byte, and the boot says so", async (_, put) => {
    put();
    const before = digest();
    const { exitCode, all } = await boot();
    expect(exitCode).not.toBe(0);
    expect(all).toContain("left alone");
    expect(digest()).toBe(before);
  });
});
