import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";

const repository = path.resolve(import.meta.dirname, "../../..");

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "execa-"));
  const config = JSON.stringify({ "project-vms:headscaleApiKey": { value: "a-credential" } });
  writeFileSync(path.join(dir, "pulumi"), `#!/bin/sh\necho '${config}'\n`);
  chmodSync(path.join(dir, "pulumi"), 0o755);
});
afterEach(() => rmSync(dir, { recursive: true }));

test("the config that a step asks for is not printed for those who debug our programs", async () => {
  const program = `console.log((await (await import("./src/tailnet/stack-config.ts")).apiConfigIn("local")).headscaleApiKey)`;
  const { stdout, stderr } = await execa(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", program],
    { cwd: repository, env: { NODE_DEBUG: "execa", PATH: `${dir}:${process.env.PATH}` } },
  );
  expect(stdout).toBe("a-credential");
  expect(stderr).not.toContain("a-credential");
});
