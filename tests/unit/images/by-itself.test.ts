import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa, execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../../config/errors.ts";
import { importDisk } from "../../../data/import.ts";
import { readQcow2 } from "../../../images/qcow2.ts";

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

/** As a base image, as an import from this machine, as an import that is on its host: the rule that each one names. */
async function refusals(): Promise<unknown[]> {
  const asBase = await Promise.resolve()
    .then(() => readQcow2(file))
    .then(() => [], rulesOf);
  const host = { uri: "fake:///nowhere", storageDir: path.join(dir, "vms") };
  const imported = await importDisk(host, "webapp", { file }, () => {}).then(() => [], rulesOf);
  const env = { PATH: `${dir}/bin:${process.env.PATH}` };
  const words = ["data/import.sh", "webapp", host.storageDir, "fake:///nowhere", file];
  const { stderr } = await execa("sh", words, { env, reject: false });
  return [asBase, imported, [/^error: .*: (must .*)$/m.exec(stderr)?.[1]]];
}

const create = (...options: string[]) =>
  execaSync("qemu-img", ["create", "-q", "-f", "qcow2", ...options], { cwd: dir });
const secret = ["--object", "secret,id=key,data=secret"];

describe.skipIf(!existsSync("/usr/bin/qemu-img"))("the same images are refused as base images and as imports:", () => {
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
    expect(await refusals()).toEqual([[rule], [rule], [rule]]);
  });

  test("encrypted by LUKS", async () => {
    create("image.qcow2", "1M");
    const bytes = readFileSync(file);
    // To have qemu-img do it takes seconds of work on a password.
    bytes.writeUInt32BE(2, 32);
    writeFileSync(file, bytes);
    expect(await refusals()).toEqual(Array(3).fill(["must not be encrypted"]));
  });

  test("one that stands by itself is taken as both", async () => {
    create("image.qcow2", "1M");
    expect(readQcow2(file).virtualSize).toBe(2 ** 20);
    const [asBase, , asImport] = await refusals();
    expect([asBase, asImport]).toEqual([[], [undefined]]);
  });
});
