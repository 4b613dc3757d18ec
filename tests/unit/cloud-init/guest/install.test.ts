import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";

/** What a published image's VM runs, in a mount namespace with folders of its own where it writes, and programs that note their calls. */
const install = path.resolve(import.meta.dirname, "../../../../src/cloud-init/guest/install");
let dir: string;
const calls = () => readFileSync(path.join(dir, "calls"), "utf8").trim().split("\n");

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "install-"));
  mkdirSync(path.join(dir, "bin"));
  for (const name of ["usermod", "npm", "claude", "apt-get", "systemctl"]) program(name, "");
  program("curl", `while [ "$1" != --output ]; do shift; done; echo a key >"$2"`);
});
afterEach(() => rmSync(dir, { recursive: true }));

function program(name: string, script: string): void {
  const file = path.join(dir, "bin", name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*" >>${dir}/calls\n${script}\n`);
  chmodSync(file, 0o755);
}

function run() {
  const own = ["/usr/local", "/usr/share/keyrings", "/etc/apt/sources.list.d"];
  const script = [
    ...own.map((folder) => `mkdir -p ${folder} && mount -t tmpfs tmpfs ${folder}`),
    "mkdir -p /usr/local/lib /usr/local/bin",
    `${install}`,
    "cat /etc/apt/sources.list.d/tailscale.sources && ls /usr/share/keyrings && readlink /usr/local/bin/claude",
  ].join(" && ");
  const env = { PATH: `${dir}/bin:/usr/sbin:/usr/bin:/sbin:/bin`, TMPDIR: dir };
  return execa("unshare", ["--mount", "sh", "-c", script], { env, extendEnv: false, reject: false });
}

test("nothing that was downloaded is run or trusted unless its digest is the one that stands here", async () => {
  const { exitCode, stderr } = await run();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^install: the key of Tailscale's packages must have the SHA-256 [0-9a-f]{64}, but is another$/m,
  );
  expect(calls().filter((call) => /^(apt-get|sh) /.test(call))).toEqual([]);
});

test("a download that fails ends it", async () => {
  program("curl", "exit 22");
  expect((await run()).exitCode).toBe(22);
  expect(calls().at(-1)).toMatch(/^curl /);
});

test("Claude Code comes by its lock file without scripts, Tailscale from a source with its own key", async () => {
  program("sha256sum", "");
  const { exitCode, stdout, stderr } = await run();
  expect(exitCode, stderr).toBe(0);
  expect(calls()).toEqual([
    "usermod --append --groups docker,nix-users dev",
    "npm ci --prefix /usr/local/lib/claude-code --ignore-scripts --no-fund --no-audit",
    "claude --version",
    expect.stringMatching(/^curl .* https:\/\/pkgs\.tailscale\.com\/stable\/debian\/trixie\.noarmor\.gpg$/),
    "sha256sum --check --status",
    "apt-get update --quiet",
    "apt-get install --quiet --yes --no-install-recommends tailscale",
    "systemctl start qemu-guest-agent.service",
  ]);
  expect(stdout.split("\n")).toEqual([
    "Types: deb",
    "URIs: https://pkgs.tailscale.com/stable/debian",
    "Suites: trixie",
    "Components: main",
    "Signed-By: /usr/share/keyrings/tailscale-archive-keyring.gpg",
    "tailscale-archive-keyring.gpg",
    expect.stringMatching(
      /^\.\.\/lib\/claude-code\/node_modules\/@anthropic-ai\/claude-code-linux-(x64|arm64)\/claude$/,
    ),
  ]);
});
