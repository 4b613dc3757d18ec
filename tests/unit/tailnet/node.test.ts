import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TailscaleNode } from "../../e2e/support/tailnet/node.ts";
import type { Tailnet } from "../../e2e/support/tailnet/tailnet.ts";

test.skipIf(process.getuid?.() !== 0)(
  "a node of the tests' tailnet keeps what it logs in its own folder too",
  async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "node-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const program = (name: string, script: string) => {
      writeFileSync(path.join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      return path.join(dir, name);
    };
    const programs = {
      headscale: "",
      tailscaled: program("tailscaled", `env >${dir}/given; mv ${dir}/given ${dir}/environment; exec sleep 60`),
      tailscale: program("tailscale", `[ -e ${dir}/environment ]`),
    };
    const node = await TailscaleNode.start({ dir, netns: "/proc/self/ns/net", programs } as unknown as Tailnet, "web");
    await node.stop();
    // By default it is /var/lib/tailscale, also with a --statedir.
    const given = readFileSync(path.join(dir, "environment"), "utf8").split("\n");
    expect(given).toContain(`TS_LOGS_DIR=${path.join(dir, "nodes/web")}`);
  },
);
