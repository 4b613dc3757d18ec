import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";

test("a clone under core.autocrlf=true has the line ends of this checkout", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "line-ends-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const crlf = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"];
  await execa("git", [...crlf, "clone", "-q", "--no-hardlinks", process.cwd(), "clone"], { cwd: dir });
  const { stdout } = await execa("git", [...crlf, "ls-files", "--eol"], { cwd: path.join(dir, "clone") });
  const lines = stdout.split("\n");
  expect(lines.length).toBeGreaterThan(100);
  expect(lines.filter((line) => !/^i\/(lf|none) +w\/(lf|none) /.test(line))).toEqual([]);
});
