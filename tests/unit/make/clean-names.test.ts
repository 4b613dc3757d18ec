import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";

test("what `make clean` is about to remove is named as it may be printed", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "clean-"));
  try {
    const checkout = path.join(dir, "check\x1b[2Jout");
    mkdirSync(checkout);
    writeFileSync(path.join(checkout, "Pulumi.yaml"), "name: project-vms\nbackend:\n  url: file://./.local/state\n");
    const salted = "encryptionsalt: v1:abc\nconfig:\n  a:\n    secure: v1:xyz\n";
    writeFileSync(path.join(checkout, "Pulumi.a\x1b[2J.yaml"), salted);
    const { exitCode, stdout } = await execa("node", [path.resolve("bin/entry.js"), "make/clean.ts"], {
      cwd: checkout,
      env: { HOME: dir, XDG_DATA_HOME: dir, XDG_STATE_HOME: dir, XDG_CACHE_HOME: dir },
      input: "no\n",
      reject: false,
    });
    expect(exitCode).toBe(1);
    expect(stdout).toContain("  the secrets in Pulumi.a\\x1b[2J.yaml, which only that passphrase opens\n");
    expect(stdout).toContain(`  ${dir}/check\\x1b[2Jout/.local  the state of all stacks`);
    expect(stdout).toMatch(/Nothing was removed\.$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
    expect(stdout).not.toMatch(/\x1b\[2J/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
