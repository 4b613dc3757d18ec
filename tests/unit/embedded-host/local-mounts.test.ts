import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { whyAway } from "../../../src/embedded-host/local-mounts.ts";

// Limits of time are as they are, but for a hundredth of it.
vi.mock("node:child_process", async (original) => {
  const programs = await original<typeof import("node:child_process")>();
  const spawnSync = (program: string, args: string[], options: { timeout?: number }) =>
    programs.spawnSync(program, args, { ...options, ...(options.timeout ? { timeout: options.timeout / 100 } : {}) });
  return { ...programs, spawnSync };
});

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

test("of a disk that does not answer it is not known what is there", () => {
  const bin = mkdtempSync(path.join(tmpdir(), "bin-"));
  writeFileSync(path.join(bin, "sh"), "#!/bin/dash\nexec /bin/sleep 60\n", { mode: 0o755 });
  vi.stubEnv("PATH", bin);
  expect(whyAway("/a", "/b")).toEqual({
    path: "/a, /b",
    rule: "must let itself be looked at within 30 s",
    remedy: "look at the disks on the way to it: `ls -ld /a /b` is to answer at once",
  });
  rmSync(bin, { recursive: true });
});

test("where it cannot be asked, nothing is said", () => {
  vi.stubEnv("PATH", "/nowhere");
  expect(whyAway("/a")).toBeUndefined();
});
