import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { runScript } from "../../../src/project-disks/host-script.ts";
import { importDisk } from "../../../src/project-disks/import.ts";

vi.mock("../../../src/project-disks/host-script.ts", () => ({ runScript: vi.fn() }));
vi.mock("../../../src/libvirt/inventory.ts", () => ({ takeInventory: async () => ({ domains: [], pools: [] }) }));

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "import-source-"));
  file = path.join(dir, "secret/image.qcow2");
  mkdirSync(path.dirname(file));
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "1M"]);
  vi.mocked(runScript)
    .mockReset()
    .mockResolvedValue(String(2 ** 20));
});
afterEach(() => rmSync(dir, { recursive: true }));

const elsewhere = { uri: "qemu+ssh://root@storage/system", storageDir: "/vms" };
const here = { uri: "qemu:///system", storageDir: "/vms" };
const importOf = (file: string, host = elsewhere) => importDisk(host, "webapp", { file }, () => undefined);

test("a file is streamed to a host elsewhere from where it was opened", async () => {
  await expect(importOf(file)).resolves.toMatchObject({ size: 2 ** 20 });
  const [, , args, , options] = vi.mocked(runScript).mock.calls[0] ?? [];
  expect(args?.slice(3)).toEqual(["-", "196616", expect.stringMatching(/^[0-9a-f]{128}$/), file]);
  expect(options?.stdin).toEqual({ file: expect.stringMatching(/^\/proc\/self\/fd\/\d+$/) });
});

test.each([
  ["elsewhere", elsewhere],
  ["on this machine", here],
])("one that is reached by a link is refused, and nothing of it goes to a host %s", async (_, host) => {
  symlinkSync(path.dirname(file), path.join(dir, "images"));
  const named = path.join(dir, "images/image.qcow2");
  await expect(importOf(named, host)).rejects.toThrow(
    `Nothing was imported.\n  - ${named}: must be the path of the file itself, with no link in it\n    name it by its own: ${file}`,
  );
  expect(runScript).not.toHaveBeenCalled();
});

test.skipIf(process.getuid?.() !== 0).each([
  ["that is another user's", () => chownSync(path.join(dir, "other's"), 65534, 65534)],
  ["that other users may write to", () => chmodSync(path.join(dir, "other's"), 0o1777)],
])("one that has another name in a folder %s is refused", async (_, make) => {
  const named = path.join(dir, "other's/image.qcow2");
  mkdirSync(path.dirname(named));
  linkSync(file, named);
  make();
  await expect(importOf(named)).rejects.toThrow(
    `Nothing was imported.\n  - ${named}: must have no other name (a hard link), which another user may have made\n    name a copy of it, if it is the file that you mean`,
  );
  expect(runScript).not.toHaveBeenCalled();
});

test.skipIf(process.getuid?.() !== 0).each<[string, number, number, string[], string, string]>([
  [
    "stands on another",
    65534,
    0o644,
    ["-b", "/etc/shadow", "-F", "raw"],
    "must not need another file beside it",
    "have its owner make it one, not root, who may read more: sudo -u '#65534' qemu-img convert -O qcow2",
  ],
  [
    "stands on another, and is root's",
    0,
    0o644,
    ["-b", "/etc/shadow", "-F", "raw"],
    "must not need another file beside it",
    "where you know what it names, make it one: qemu-img convert -O qcow2",
  ],
  [
    "stands on another, which others may write to",
    0,
    0o646,
    ["-b", "/etc/shadow", "-F", "raw"],
    "must not need another file beside it",
    "have whoever made it make it one: qemu-img convert -O qcow2",
  ],
  [
    "is of another format, which may name files as well",
    65534,
    0o644,
    [],
    "must be a qcow2 image",
    "have its owner convert it, not root, who may read more: sudo -u '#65534' qemu-img convert -O qcow2",
  ],
])(
  "one that %s is its owner's to mend: root would read what it names",
  async (_, owner, mode, options, rule, remedy) => {
    execaSync("qemu-img", ["create", "-q", "-f", options.length > 0 ? "qcow2" : "qed", ...options, file, "1M"]);
    chownSync(file, owner, owner);
    chmodSync(file, mode);
    await expect(importOf(file)).rejects.toThrow(`Nothing was imported.
  - ${file}: ${rule}
    ${remedy}`);
    expect(runScript).not.toHaveBeenCalled();
  },
);

test.each([
  ["a folder", () => mkdirSync(path.join(dir, "x"))],
  ["a pipe that nobody writes to", () => execaSync("mkfifo", [path.join(dir, "x")])],
  ["nothing", () => undefined],
])("%s is no image, at once", async (_, make) => {
  make();
  await expect(importOf(path.join(dir, "x"))).rejects.toThrow("x: must be a file\n    name a backup");
});

test.each([
  ["a pipe", () => execaSync("mkfifo", [`${file}.sha512`])],
  ["what never ends", () => symlinkSync("/dev/zero", `${file}.sha512`)],
])("a digest that is to come from %s is refused", async (_, make) => {
  make();
  await expect(importOf(file)).rejects.toThrow(
    `${file}.sha512: must be a file\n    remove it, or put the image's digest`,
  );
});

test("a digest that is another is refused, and one with much behind it is read as far as one is long", async () => {
  writeFileSync(`${file}.sha512`, `${"0".repeat(128)}  image.qcow2\n`);
  await expect(importOf(file)).rejects.toThrow(`${file}: must have the SHA-512 that ${file}.sha512 says`);
  const { stdout } = execaSync("sha512sum", [file]);
  writeFileSync(`${file}.sha512`, stdout.toUpperCase() + "x".repeat(1e6));
  await expect(importOf(file)).resolves.toMatchObject({ size: 2 ** 20 });
});
