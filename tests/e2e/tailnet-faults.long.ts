import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiKey, TailnetStack } from "./support/tailnet/tailnet-stack.ts";

const stack = new TailnetStack("tailnet-faults");
const { host, virsh, dir } = stack.checkout;

beforeAll(() => stack.start());
afterAll(() => stack.stop());

function expectSuccess({ exitCode, all }: { exitCode?: number | undefined; all: string }): string {
  expect(exitCode, all).toBe(0);
  return all;
}

describe("a tailnet that fails", () => {
  test("with the control server down the VM is built, the failed stage is named, and the next up finishes", async () => {
    stack.configure({ worker: {} });
    const running = stack.up();
    const isDefined = async () => (await virsh.run("list", "--all", "--name")).includes("project-worker");
    await expect.poll(isDefined, { timeout: 300_000 }).toBe(true);
    await stack.tailnet.halt();
    const { exitCode, all } = await running;
    expect(exitCode).not.toBe(0);
    expect(all).toContain("project-worker is not ready: stage tailnet failed after");
    await stack.tailnet.resume();
    expectSuccess(await stack.up());
    // The first key may have expired by now, and is revoked.
    expect(stack.minted()).toBe(2);
    expect(await stack.reach("worker", "hostname")).toBe("project-worker");
    expectSuccess(await stack.pulumi("preview", "--expect-no-changes"));
  });

  test("a device that was removed by hand is no error, and a restart brings the VM back with a fresh key", async () => {
    const worker = (await stack.tailnet.admin.nodes()).find(({ givenName }) => givenName === "project-worker");
    await stack.tailnet.admin.deleteNode(worker?.id ?? "");
    expectSuccess(await stack.up("--expect-no-changes"));
    stack.configure({ worker: { cpus: 1 } });
    const { exitCode, all } = await stack.up();
    expect(exitCode).not.toBe(0);
    expect(all).toContain("project-worker is not ready: stage tailnet failed after");
    expectSuccess(await stack.up());
    expect(await stack.reach("worker", "nproc")).toBe("1");
    expect(await stack.names()).toContain("project-worker");
  });

  test("twenty nodes in all join at once and find each other", async () => {
    const crowd = await Promise.all(Array.from({ length: 18 }, (_, n) => stack.startNode(`node-${n}`)));
    const { key } = await stack.tailnet.createKey({ tags: ["tag:client"], reusable: true });
    await Promise.all(crowd.map((node) => node.up(key)));
    for (const node of crowd) expect(await node.ping("project-worker")).toMatch(/^pong from project-worker/);
    expect(await stack.laptop.ping("node-17")).toMatch(/^pong from node-17/);
  });

  test("no key is in clear anywhere: not in what was printed, in the state, in arguments, or in a file that others can read", async () => {
    const secrets = [apiKey, ...(await stack.tailnet.admin.keys(stack.tailnet.userId)).map(({ key }) => key)];
    expect(secrets.length).toBeGreaterThan(3);
    const { stdout: state } = await execa("cat", filesBelow(path.join(dir, ".local/state")));
    const { stdout: processes } = await execa("ps", ["-e", "-o", "args"]);
    const readable = [dir, host.dir].flatMap(filesBelow).filter(isReadableByOthers);
    for (const secret of secrets) {
      expect(stack.printed.join("\n")).not.toContain(secret);
      expect(state).not.toContain(secret);
      expect(processes).not.toContain(secret);
      expect(readable.filter((file) => readFileSync(file).includes(secret))).toEqual([]);
    }
  });

  test("a VM that is dead is taken out of it too, and its unused keys are revoked", async () => {
    await virsh.run("destroy", "project-worker");
    expectSuccess(await stack.pulumi("destroy", "--yes", "--skip-preview"));
    expect(await stack.names()).not.toContain("project-worker");
    const revoked = stack.api.requests.filter(({ method, path }) => method === "DELETE" && path.includes("/keys/"));
    expect(revoked.length).toBeGreaterThan(0);
  });
});

/** Plain files below a folder, but for those of the test's own tailnet and what is too big to hold a key unseen. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !file.includes("/tailnet/") && statSync(file).size < 64 * 2 ** 20);
}

const isReadableByOthers = (file: string) => (statSync(file).mode & 0o004) !== 0;
