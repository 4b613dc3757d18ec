import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { judge, kvmWorks, tryGuest } from "../../../src/libvirt/kvm.ts";
import { kvmGuest } from "../../../src/libvirt/kvm-guest.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "kvm-test-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test.each([
  ["the guest's answer", 69, "", false, { works: true, why: "a test guest ran", sure: true }],
  [
    "a QEMU that gives up (as it did on a host whose KVM is only for kernels made for it)",
    null,
    "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\nqemu-system-x86_64: ../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.\n",
    false,
    { works: false, why: "a test guest did not run: failed to set MSR 0x10a to 0x69", sure: true },
  ],
  [
    "an internal error",
    null,
    "KVM internal error. Suberror: 1\nextra data[0]: 0x0\n",
    false,
    { works: false, why: "a test guest did not run: KVM internal error. Suberror: 1", sure: true },
  ],
  [
    "another answer of the guest's",
    35,
    "",
    false,
    { works: false, why: "a test guest did not run: exit code 35", sure: true },
  ],
  [
    "a guest that resets itself",
    0,
    "",
    false,
    { works: false, why: "a test guest did not run: exit code 0", sure: true },
  ],
  ["no time left", null, "", true, { works: false, why: "a test guest stood still for 5 s", sure: false }],
])("%s", (_, exitCode, stderr, late, verdict) => {
  expect(judge(exitCode, stderr, late)).toEqual(verdict);
});

test.skipIf(!existsSync("/usr/bin/ld"))("the guest's bytes are what its source is assembled to", async () => {
  const [object, image] = [path.join(dir, "guest.o"), path.join(dir, "guest.img")];
  execFileSync("as", ["--64", path.join(import.meta.dirname, "../../../src/libvirt/kvm-guest.S"), "-o", object]);
  execFileSync("ld", ["-m", "elf_x86_64", "-Ttext", "0x7c00", "--oformat", "binary", "-o", image, object]);
  expect(kvmGuest().equals(await readFile(image))).toBe(true);
});

describe.skipIf(!existsSync("/usr/bin/qemu-system-x86_64"))("a real QEMU", () => {
  test("the guest runs where it must: emulated", async () => {
    await expect(tryGuest("tcg")).resolves.toEqual({ works: true, why: "a test guest ran", sure: true });
  });

  test("the verdict on this machine is kept", async () => {
    const cache = path.join(dir, "cache/kvm.json");
    const first = await kvmWorks(cache);
    expect(first.why).not.toBe("");
    const started = Date.now();
    await expect(kvmWorks(cache)).resolves.toEqual(first);
    if (existsSync(cache)) expect(Date.now() - started).toBeLessThan(50);
  });
});
