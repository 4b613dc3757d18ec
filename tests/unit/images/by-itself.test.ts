import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { readQcow2 } from "../../../src/images/qcow2.ts";
import { requireDataDisk } from "../../../src/lifecycle/replace.ts";
import { importDisk } from "../../../src/project-disks/import.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "by-itself-"));
  file = path.join(dir, "image.qcow2");
  mkdirSync(path.join(dir, "bin"));
  writeFileSync(path.join(dir, "bin/virsh"), "#!/bin/sh\n", { mode: 0o755 });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const rulesOf = (error: unknown) =>
  error instanceof UserError ? error.issues.map(({ rule }) => rule) : [String(error)];

/** As a base image, as imports from this machine and on its host, as the kept disk of a project: the rule that each one names. */
async function refusals(): Promise<unknown[]> {
  const asBase = await Promise.resolve()
    .then(() => readQcow2(file))
    .then(() => [], rulesOf);
  const host = { uri: "fake:///nowhere", storageDir: path.join(dir, "vms") };
  const imported = await importDisk(host, "webapp", { file }, () => {}).then(() => [], rulesOf);
  const env = { PATH: `${dir}/bin:${process.env.PATH}` };
  const words = ["src/project-disks/import.sh", "webapp", host.storageDir, "fake:///nowhere", file];
  const { stderr } = await execa("sh", words, { env, reject: false });
  const virsh = new FakeVirsh();
  virsh.pools.set("project-webapp", new Map([["project.qcow2", { path: file }]]));
  const kept = await requireDataDisk(virsh, "webapp").then(
    () => [],
    (error) => rulesOf(error).map((rule) => rule.replace("its project disk ", "")),
  );
  return [asBase, imported, [/^error: .*: (must .*)$/m.exec(stderr)?.[1]], kept];
}

const create = (...options: string[]) =>
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...options], { cwd: dir });
const secret = ["--object", "secret,id=key,data=secret"];

describe.skipIf(!existsSync("/usr/bin/qemu-img"))(
  "the same images are refused as base images, as imports and as kept disks:",
  () => {
    test.each<[string, string[], string]>([
      [
        "on a backing file",
        ["-b", "/etc/shadow", "-F", "raw", "image.qcow2", "1M"],
        "must not need another file beside it",
      ],
      [
        "on a backing file, in the old format",
        ["-o", "compat=0.10", "-b", "/etc/shadow", "-F", "raw", "image.qcow2", "1M"],
        "must not need another file beside it",
      ],
      [
        "with an external data file",
        ["-o", "data_file=data.raw", "image.qcow2", "1M"],
        "must not need another file beside it",
      ],
      [
        "encrypted as long ago",
        [...secret, "-o", "encrypt.format=aes,encrypt.key-secret=key", "image.qcow2", "1M"],
        "must not be encrypted",
      ],
    ])("%s", async (_, options, rule) => {
      create(...options);
      expect(await refusals()).toEqual(Array(4).fill([rule]));
    });

    test("encrypted by LUKS", async () => {
      create("image.qcow2", "1M");
      const bytes = readFileSync(file);
      // To have qemu-img do it takes seconds of work on a password.
      bytes.writeUInt32BE(2, 32);
      writeFileSync(file, bytes);
      expect(await refusals()).toEqual(Array(4).fill(["must not be encrypted"]));
    });

    test("one that stands by itself is taken as each", async () => {
      create("image.qcow2", "1M");
      expect(readQcow2(file).virtualSize).toBe(2 ** 20);
      const [asBase, , asImport, asKept] = await refusals();
      expect([asBase, asImport, asKept]).toEqual([[], [undefined], []]);
    });
  },
);
