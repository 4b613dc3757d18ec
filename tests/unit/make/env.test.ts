import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";

vi.mock("../../../toolchain/ensure.ts", () => ({ toolchainEnvironment: () => ({ PULUMI_HOME: "/home/of/pulumi" }) }));
vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, rmSync: vi.fn(real.rmSync) };
});

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "env-"));
  writeFileSync(
    path.join(root, "Pulumi.yaml"),
    "name: project-vms\nbackend: {url: 'file://./.local/state?metadata=skip'}\n",
  );
  vi.stubEnv("PULUMI_BACKEND_URL", undefined);
  vi.spyOn(process, "cwd").mockReturnValue(root);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

function write(file: string, text: string): string {
  const place = path.join(root, ".local/state/.pulumi", file);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, text);
  return place;
}

const lock = (stack: string, pid: number | undefined, host = hostname()) =>
  write(`locks/organization/project-vms/${stack}/1.json`, JSON.stringify({ pid, username: "me", hostname: host }));
const dead = () => spawnSync("true").pid;

/** A program of the engine's name, that sleeps. */
function engine(): number | undefined {
  const program = path.join(root, "pulumi");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["60"], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  return child.pid;
}

/** What `make env` prints, and what it says. */
async function env(): Promise<{ lines: string[]; said: string }> {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
  const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.resetModules();
  await import("../../../make/env.ts");
  return { lines, said: said.mock.calls.join("\n") };
}

test("dead locks of stacks that are not there go, which plain `pulumi` cannot release; no other lock does", async () => {
  const begun = lock("begun", dead());
  const partial = write("locks/organization/project-vms/t.o-_9/1.json.18a0c2f1e5b3.tmp", "");
  write("stacks/project-vms/there.json", "{}");
  write("stacks/project-vms/packed.json.gz", "");
  write("stacks/project-vms/zipped.json.zst", "");
  write("stacks/project-vms/begun.json.bak", "{}");
  const kept = [
    lock("there", dead()),
    lock("packed", dead()),
    lock("zipped", dead()),
    lock("busy", engine()),
    lock("elsewhere", dead(), "elsewhere"),
  ];
  const { lines, said } = await env();
  expect([begun, partial, ...kept].filter((file) => existsSync(file))).toEqual(kept);
  expect(said.match(/releasing the lock of an update that did not finish/g)).toHaveLength(2);
  expect(said).toMatch(/the stack busy, which is not there yet, is locked by process \d+ of me on /);
  const elsewhere =
    /the stack elsewhere, which is not there yet, is locked by process \d+ of me on elsewhere; if that is surely gone: `(.*)`/;
  const [, remedy = ""] = elsewhere.exec(said) ?? [];
  expect(remedy).toBe(`rm ${kept[4]}`);
  spawnSync("sh", ["-c", remedy]);
  expect(existsSync(kept[4] ?? "")).toBe(false);
  expect(lines).toContain("export PULUMI_HOME='/home/of/pulumi'");
});

test("one that this user may not remove is told, and the environment is printed all the same", async () => {
  const file = lock("begun", dead());
  vi.mocked(rmSync).mockImplementation((place) => {
    if (place === file) throw new Error("EACCES: permission denied");
  });
  const { lines, said } = await env();
  vi.mocked(rmSync).mockReset();
  expect(said).toContain(`remove it as its owner: rm ${file}`);
  expect(lines).toContain("export PULUMI_HOME='/home/of/pulumi'");
});

test("a checkout without any state has none", async () => {
  const { lines, said } = await env();
  expect([lines.length > 0, said]).toEqual([true, ""]);
});
