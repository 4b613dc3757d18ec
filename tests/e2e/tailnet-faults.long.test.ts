import { readdirSync, readFileSync, type Stats, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSuccess } from "./support/expect-success.ts";
import type { PreAuthKey } from "./support/tailnet/headscale-admin.ts";
import { apiKey, TailnetStack } from "./support/tailnet/tailnet-stack.ts";

const stack = new TailnetStack("tailnet-faults");
const { host, virsh, dir } = stack.checkout;

beforeAll(() => stack.start());
afterAll(() => stack.stop());

describe("a tailnet that fails", () => {
  test("a key that expires before it is used: the VM is built, and the failed stage is named", async () => {
    stack.configure({ worker: {} });
    const running = stack.up();
    for (const { key } of await made(1)) await stack.tailnet.admin.expireKey(stack.tailnet.userId, key);
    expectNotJoined(await running);
    expect((await virsh.run("domstate", "project-worker")).trim()).toBe("running");
  }, 1_500_000);

  test("so with the control server down, and the next up finishes", async () => {
    const running = stack.up();
    await made(2);
    await stack.tailnet.halt();
    expectNotJoined(await running);
    await stack.tailnet.resume();
    expect(expectSuccess(await stack.up())).toContain("worker: no restart, joins the tailnet tailnet.test, data kept");
    // With the server back, a tailscaled that goes on trying may have joined by the second key, which could not be revoked.
    expect([2, 3]).toContain(stack.minted());
    expect(await stack.reach("worker", "hostname")).toBe("project-worker");
    expectSuccess(await stack.pulumi("preview", "--expect-no-changes"));
  });

  test("a device that was removed by hand is no error: the next up has the VM join again, with a fresh key and no restart", async () => {
    const minted = stack.minted();
    await removeByHand("project-worker");
    const all = expectSuccess(await stack.up());
    expect(all).toContain("worker: its device project-worker is no longer in the tailnet");
    expect(stack.minted()).toBe(minted + 1);
    expect(await stack.names()).toEqual(["laptop", "project-worker"]);
    expect(await stack.reach("worker", "hostname")).toBe("project-worker");
    expectSuccess(await stack.up("--expect-no-changes"));
  });

  test("another tag: the VM logs in again as the device that it is, without a restart", async () => {
    const { id, ipAddresses } = (await nodeOf("project-worker")) ?? {};
    const boot = await bootOfWorker();
    const minted = stack.minted();
    stack.configure({ worker: {} }, { tag: "tag:client" });
    const all = expectSuccess(await stack.up());
    expect(all).toContain("worker: its device project-worker lacks the tag tag:client");
    expect(all).toContain("worker: no restart, joins the tailnet tailnet.test, data kept");
    expect(await nodeOf("project-worker")).toMatchObject({ id, ipAddresses, forcedTags: ["tag:client"] });
    stack.configure({ worker: {} });
    expectSuccess(await stack.up());
    expect(await nodeOf("project-worker")).toMatchObject({ id, ipAddresses, forcedTags: ["tag:project-vm"] });
    expect(stack.minted()).toBe(minted + 2);
    expect(await bootOfWorker()).toBe(boot);
    expectSuccess(await stack.up("--expect-no-changes"));
  });

  test("a state that is lost has no key made: the VM stays the device that it is", async () => {
    const nodeKey = await nodeKeyOf("project-worker");
    const minted = stack.minted();
    await stack.expectPulumi("stack", "rm", "--force", "--yes", "--preserve-config");
    await stack.expectPulumi("stack", "init");
    expectSuccess(await stack.up());
    expect(stack.minted()).toBe(minted);
    expect(await nodeKeyOf("project-worker")).toBe(nodeKey);
  });

  test("an API that does not answer holds up nothing that does not need it", async () => {
    stack.api.inject({ kind: "failing", on: "GET", times: 1 });
    const all = expectSuccess(await stack.up("--expect-no-changes"));
    expect(all).toContain("whether all VMs are still in the tailnet is not known. The tailnet's API fails.");
  });

  test("twenty nodes in all join at once and find each other", async () => {
    const crowd = await Promise.all(Array.from({ length: 18 }, (_, n) => stack.startNode(`node-${n}`)));
    const { key } = await stack.tailnet.createKey({ tags: ["tag:client"], reusable: true });
    await Promise.all(crowd.map((node) => node.up(key)));
    for (const node of crowd) expect(await node.ping("project-worker")).toMatch(/^pong from project-worker/);
    expect(await stack.laptop.ping("node-17")).toMatch(/^pong from node-17/);
  });

  test("another control server, a headscale with its own API: the VM leaves the former, and joins by a key from there", async () => {
    // The same one by another of its addresses: that of the network that the VM is in.
    const server = new URL(stack.tailnet.loginServer);
    server.hostname = "10.77.0.1";
    const nodeKey = await nodeKeyOf("project-worker");
    const minted = stack.minted();
    stack.configure({ worker: {} }, { server: server.origin, headscale: { user: stack.tailnet.userName } });
    await stack.expectPulumi("config", "set", "--secret", "headscaleApiKey", stack.tailnet.admin.apiKey);
    expectSuccess(await stack.up());
    const revoked = stack.api.requests.filter(({ method, path }) => method === "DELETE" && path.includes("/keys/"));
    expect(revoked.length).toBeGreaterThan(0);
    expect(stack.minted()).toBe(minted);
    expect(await nodeKeyOf("project-worker")).not.toBe(nodeKey);
    expect(await stack.reach("worker", "sudo tailscale debug prefs | jq -r .ControlURL")).toBe(server.origin);
    expectSuccess(await stack.up("--expect-no-changes"));
  });

  test("a key in a file and another server: joined at the first try, and again once the VM finds itself logged out", async () => {
    const keyFile = path.join(dir, "join-key");
    const { key } = await stack.tailnet.createKey({ tags: ["tag:project-vm"], reusable: true });
    writeFileSync(keyFile, key, { mode: 0o600 });
    for (const credential of ["tailscale:apiKey", "headscaleApiKey"])
      await stack.expectPulumi("config", "rm", credential);
    stack.configure({ worker: {} }, { keyFile });
    expectSuccess(await stack.up());
    const server = "sudo tailscale debug prefs | jq -r .ControlURL";
    expect(await stack.reach("worker", server)).toBe(stack.tailnet.loginServer);
    await removeByHand("project-worker");
    // Until then headscale goes on talking to it.
    await inWorker("systemctl restart tailscaled; until tailscale status --json | grep NeedsLogin; do sleep 1; done");
    const all = expectSuccess(await stack.up());
    expect(all).toContain("worker: it is logged out of the tailnet");
    expect(all).toContain("worker: no restart, joins the tailnet tailnet.test, data kept");
    // When its peers hear of that is the control server's matter.
    const joined = expect.objectContaining({
      givenName: "project-worker",
      online: true,
      forcedTags: ["tag:project-vm"],
    });
    expect(await stack.tailnet.admin.nodes()).toContainEqual(joined);
    expectSuccess(await stack.up("--expect-no-changes"));
  });

  test("a key in a file without the tag is refused, and the VM stays as it is", async () => {
    const { key } = await stack.tailnet.createKey({ tags: ["tag:client"], reusable: true });
    writeFileSync(path.join(dir, "join-key"), key, { mode: 0o600 });
    stack.configure({ worker: {} }, { keyFile: path.join(dir, "join-key"), tag: "tag:other" });
    const { exitCode, all } = await stack.up();
    expect([exitCode, all]).toEqual([
      expect.any(Number),
      expect.stringContaining("the key that it joined with does not give it tag:other"),
    ]);
    stack.configure({ worker: {} });
    await stack.expectPulumi("config", "set", "--secret", "tailscale:apiKey", apiKey);
    expectSuccess(await stack.up());
    expect(await nodeOf("project-worker")).toMatchObject({ forcedTags: ["tag:project-vm"] });
  });

  test("no key is in clear anywhere: not in what was printed, in the state, in arguments, or in a file that others can read", async () => {
    const keys = (await stack.tailnet.admin.keys(stack.tailnet.userId)).map(({ key }) => key);
    const secrets = [apiKey, stack.tailnet.admin.apiKey, ...keys];
    expect(secrets.length).toBeGreaterThan(6);
    const state = filesBelow(path.join(dir, ".local/state")).map((file) => readFileSync(file, "utf8"));
    const { stdout: processes } = await execa("ps", ["-e", "-o", "args"]);
    const readable = [dir, host.dir].flatMap(filesBelow).filter(isReadableByOthers);
    for (const secret of secrets) {
      expect(stack.printed.join("\n")).not.toContain(secret);
      expect(state.join("\n")).not.toContain(secret);
      expect(processes).not.toContain(secret);
      expect(readable.filter((file) => readFileSync(file).includes(secret))).toEqual([]);
    }
  });

  test("a guest that has replaced its tailscale is not believed what cannot be, and harms nobody else's device", async () => {
    const laptop = await stack.laptop.status();
    const own = { ...laptop.Self, DNSName: "project-worker.tailnet.test." };
    const disk = `"/><disk type='file'><source file='/etc/shadow'/></disk>`;
    const lies: [self: object, says: string][] = [
      [laptop.Self, "tailscale status Self DNSName: must be project-worker.tailnet.test"],
      [{ ...own, ID: disk }, `tailscale status Self ID: must be a device's ID; it says: | "/><disk`],
      [{ ...own, PublicKey: "nodekey:\n" }, "tailscale status Self PublicKey: must be `nodekey:` and 64 hexadecimal"],
    ];
    await inWorker(
      "mv /usr/bin/tailscale /usr/bin/tailscale.real; install /dev/stdin /usr/bin/tailscale",
      lyingTailscale,
    );
    await removeByHand("project-worker");
    for (const [self, says] of lies) {
      await inWorker("tee /run/hostile-tailscale.json", JSON.stringify({ ...laptop, Self: self }));
      const { exitCode, all } = await stack.up();
      expect(exitCode, all).not.toBe(0);
      expect(withoutBlanks(all)).toContain(withoutBlanks(`project-worker: ${says}`));
    }
    // The laptop's own ID and key, under the name of the VM: it could be so.
    await inWorker("tee /run/hostile-tailscale.json", JSON.stringify({ ...laptop, Self: own }));
    await stack.up();
    expect(await virsh.run("dumpxml", "project-worker")).not.toContain("shadow");
    await inWorker("mv /usr/bin/tailscale.real /usr/bin/tailscale");
    await expect
      .poll(async () => [(await stack.up()).exitCode, (await stack.names()).includes("project-worker")], {
        timeout: 240_000,
      })
      .toEqual([0, true]);
    expect(await stack.names()).toContain("laptop");
    expect(await stack.laptop.ping("project-worker")).toMatch(/^pong from project-worker/);
  });

  test("a VM that is dead is taken out of it too", async () => {
    await virsh.run("destroy", "project-worker");
    const all = expectSuccess(await stack.pulumi("destroy", "--yes", "--skip-preview"));
    expect(all).toContain("worker: its device project-worker left the tailnet");
    expect(await stack.names()).not.toContain("project-worker");
  });
});

/** Long lines of a guest within a failure are broken, with a mark: behind a blank, or within a long word. */
const withoutBlanks = (text: string) => text.replaceAll(/\n *\| /g, "").replaceAll(/\s/g, "");

/** The VM is there, and the update says what it lacks. */
function expectNotJoined({ exitCode, all }: { exitCode?: number | undefined; all: string }): void {
  expect(exitCode, all).not.toBe(0);
  expect(all).toContain("project-worker is not ready: stage tailnet failed after");
}

/** All keys that were made for VMs, as soon as there are so many: a key is made when its VM has booted. */
async function made(count: number): Promise<PreAuthKey[]> {
  const ofVms = async () => {
    const keys = await stack.tailnet.admin.keys(stack.tailnet.userId);
    return keys.filter(({ aclTags }) => aclTags?.includes("tag:project-vm"));
  };
  await expect.poll(ofVms, { timeout: 1_200_000, interval: 250 }).toHaveLength(count);
  return ofVms();
}

/** As the root of a guest could put it in the real one's place: it is whatever device the file says, and does nothing. */
const lyingTailscale = '#!/bin/sh\n[ "$1" != status ] || cat /run/hostile-tailscale.json\n';

/** Runs a command as root in the VM, by the way that does not go through the tailnet. */
const inWorker = (command: string, input?: string) =>
  stack.checkout.ssh("worker", `sudo sh -c '${command} >/dev/null'`, input);

const bootOfWorker = () => stack.checkout.ssh("worker", "cat /proc/sys/kernel/random/boot_id");

const nodeOf = async (device: string) =>
  (await stack.tailnet.admin.nodes()).find(({ givenName }) => givenName === device);

const nodeKeyOf = async (device: string) => (await nodeOf(device))?.nodeKey;

const removeByHand = async (device: string) => stack.tailnet.admin.deleteNode((await nodeOf(device))?.id ?? "");

/** Plain files below a folder, but for those of the test's own tailnet and what is too big to hold a key unseen. */
function filesBelow(folder: string): string[] {
  // A network namespace is mounted on a file: it looks like an empty one, and cannot be read.
  const canHoldKey = ({ size }: Stats) => size > 0 && size < 64 * 2 ** 20;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !file.includes("/tailnet/") && canHoldKey(statSync(file)));
}

const isReadableByOthers = (file: string) => (statSync(file).mode & 0o004) !== 0;
