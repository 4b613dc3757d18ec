import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { apiOfCommand } from "../../../src/tailnet/command.ts";

/** A folder with a `pulumi` of the test's own, first on PATH. */
let dir: string;
const { PATH } = process.env;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "command-"));
  process.env.PATH = `${dir}:${PATH}`;
});
afterEach(() => {
  process.env.PATH = PATH;
  rmSync(dir, { recursive: true });
});

function pulumi(script: string): void {
  writeFileSync(path.join(dir, "pulumi"), `#!/bin/sh\necho "$*" >${dir}/asked\n${script}\n`);
  chmodSync(path.join(dir, "pulumi"), 0o755);
}

test("credentials of the config are asked of pulumi, those that it has not come from the environment", async () => {
  pulumi(
    `echo '{"tailscale:apiKey":{"value":"hush","secret":true},"project-vms:projects":{"value":"{}","objectValue":{},"secret":false}}'`,
  );
  expect(await apiOfCommand({ PROJECT_VMS_TAILNET_STACK: "storage", HEADSCALE_API_KEY: "hs" })).toMatchObject({
    apiKey: "hush",
    headscaleApiKey: "hs",
  });
  expect(readFileSync(path.join(dir, "asked"), "utf8")).toBe(
    "config --json --show-secrets --stack storage --non-interactive\n",
  );
});

test("a config that pulumi cannot read is told with its last word, the remedy, and nothing that it had shown", async () => {
  pulumi("echo hush; echo 'error: passphrase must be set' >&2; exit 255");
  const asking = apiOfCommand({ PROJECT_VMS_TAILNET_STACK: "storage" });
  await expect(asking).rejects.toThrow("but: error: passphrase must be set\n    set PULUMI_CONFIG_PASSPHRASE_FILE");
  await expect(asking).rejects.not.toThrow("hush");
});

test("a command that an earlier version left in a state still has what it was told", async () => {
  expect(await apiOfCommand({ PROJECT_VMS_TAILNET_API: '{"apiKey":"former"}' })).toMatchObject({ apiKey: "former" });
});

test("without a stack that has any they are the environment's", async () => {
  expect(await apiOfCommand({ TAILSCALE_API_KEY: "env" })).toMatchObject({ apiKey: "env" });
});
