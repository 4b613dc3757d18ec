import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { orphansAmong, reapOrphans } from "../../../src/engine/orphans.ts";

const bridge = "/cache/a/home/plugins/resource-terraform-provider-v1.1.3/pulumi-resource-terraform-provider";
const provider = "/cache/a/libexec/terraform-provider-libvirt";

test("orphans are plugins of ours that lost whoever started them, and what those started", () => {
  const processes = [
    { pid: 1, parent: 0, executable: "/sbin/init" },
    { pid: 10, parent: 2, executable: "/usr/bin/pulumi" },
    { pid: 2, parent: 1, executable: "/bin/bash" },
    { pid: 3, parent: 1, executable: "/usr/lib/systemd/systemd" },
    { pid: 11, parent: 10, executable: bridge },
    { pid: 12, parent: 11, executable: provider },
    { pid: 20, parent: 1, executable: bridge },
    { pid: 21, parent: 20, executable: provider },
    { pid: 30, parent: 1, executable: provider },
    { pid: 40, parent: 999, executable: provider },
    { pid: 41, parent: 3, executable: provider },
    { pid: 50, parent: 1, executable: "/opt/terraform-provider-libvirt" },
    { pid: 60, parent: 1, executable: "/cache/a/bin/pulumi" },
    { pid: 70, parent: 1, executable: "/cache-of-mine/terraform-provider-libvirt" },
  ];
  expect(orphansAmong(processes, "/cache").map(({ pid }) => pid)).toEqual([20, 30, 40, 41, 21]);
});

test("whose engine is the first process of a container is no orphan, and is one when that is any other program", () => {
  const besides = (first: string) => [
    { pid: 1, parent: 0, executable: first },
    { pid: 9, parent: 1, executable: bridge },
    { pid: 10, parent: 9, executable: provider },
  ];
  expect(orphansAmong(besides("/cache/a/bin/pulumi"), "/cache")).toEqual([]);
  for (const first of ["/usr/bin/node", "/usr/bin/tini", ""])
    expect(orphansAmong(besides(first), "/cache").map(({ pid }) => pid)).toEqual([9, 10]);
});

test("they are ended, and those with a living parent are not", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "orphans-"));
  const program = path.join(dir, "terraform-provider-sleep");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["60"], { stdio: "ignore" });
  const orphan = spawn("sh", ["-c", `'${program}' 60 &`], { stdio: "ignore" });
  await once(orphan, "exit");
  let ended = 0;
  await expect.poll(() => (ended += reapOrphans(dir))).toBe(1);
  expect(child.exitCode ?? child.signalCode).toBeNull();
  child.kill();
  rmSync(dir, { recursive: true });
});
