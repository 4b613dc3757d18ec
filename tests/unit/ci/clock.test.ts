import { readFileSync } from "node:fs";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { waitFor } from "../../../src/embedded-host/embedded-process.ts";
import { virshSession } from "../../../src/libvirt/virsh.ts";

/** Where the time of day is meant: it goes to others, comes from them, or is a date of a file. */
const dates = [
  "bench/program/index.ts",
  "bench/pulumi.ts",
  "src/core/lock-attempts.ts",
  "src/core/progress.ts",
  "src/images/prune.ts",
  "src/project-disks/backup.sh",
  "src/project-disks/newest-backups.sh",
  "src/tailnet/api.ts",
  "src/tailnet/keys.ts",
  "toolchain/tailscale/client.ts",
];

test("limits and elapsed times are not measured by the time of day, which others set", async () => {
  const { stdout } = await execa("git", ["ls-files", "*.ts", "*.sh", ":!tests", ":!sdks"]);
  const byDay = stdout.split("\n").filter((file) => /Date\.now\(\)|date \+%s/.test(readFileSync(file, "utf8")));
  expect(byDay.sort()).toEqual(dates);
  // How old a backup is.
  expect(readFileSync("src/project-disks/backup.sh", "utf8").match(/date \+%s/g)).toHaveLength(1);
});

describe("while the clock is set forward again and again", () => {
  beforeEach(() => {
    let now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => {
      now += 3_600_000;
      return now;
    });
  });
  afterEach(() => void vi.restoreAllMocks());

  test("a wait lasts as long as it may", async () => {
    let asked = 0;
    await waitFor("it", 20, () => ++asked === 3);
  });

  test("a question to libvirt has its time", async () => {
    await expect(virshSession("test:///default", [["uri"]])).resolves.toMatchObject([{ ok: true }]);
  });
});
