import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { whyAway } from "../../../host/mounted.ts";

afterEach(() => void vi.unstubAllEnvs());

test("what is on this machine's own disk is there; what the script refuses is on a disk that is not mounted", () => {
  expect(whyAway("/", tmpdir())).toBeUndefined();
  const bin = mkdtempSync(path.join(tmpdir(), "bin-"));
  const script = `#!/bin/dash\n[ -f "$1" ] && printf 'error: %s: must be mounted\\nremedy: mount it\\n' "$3" >&2; exit 1\n`;
  writeFileSync(path.join(bin, "sh"), script, { mode: 0o755 });
  vi.stubEnv("PATH", bin);
  expect(whyAway("/a", "/b")).toEqual({ path: "/b", rule: "must be mounted", remedy: "mount it" });
  rmSync(bin, { recursive: true });
});

test("where it cannot be asked, nothing is said", () => {
  vi.stubEnv("PATH", "/nowhere");
  expect(whyAway("/a")).toBeUndefined();
});
