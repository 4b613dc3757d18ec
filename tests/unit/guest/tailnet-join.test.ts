import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaSync } from "execa";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { GuestAgent } from "../../../src/guest/agent.ts";
import { isLoggedOut, joinTailnet, leaveTailnet } from "../../../src/guest/tailnet-join.ts";
import { HttpServer } from "../tailnet/http-server.ts";
import { aNode } from "./samples.ts";

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
beforeEach(() => {
  server.reset();
  server.answer = () => ({ body: { id: "k1", key: "tskey-minted" } });
  Object.assign(process.env, { TAILSCALE_API_KEY: "hush", TAILSCALE_BASE_URL: server.url });
});
afterAll(() => {
  delete process.env.TAILSCALE_API_KEY;
  delete process.env.TAILSCALE_BASE_URL;
  server.close();
});

const { id: ID, nodeKey: PublicKey } = aNode(1);
const self = {
  ID,
  PublicKey,
  DNSName: "project-web.tailnet.test.",
  TailscaleIPs: ["100.64.0.1"],
  Tags: ["tag:project-vm"],
};
const key = { tag: "tag:project-vm", reusable: false, keyExpiry: 3600, description: "project-vms local web" };
const asked = () => server.requests.map(({ method, path }) => `${method} ${path}`);

/** A guest that answers the scripts `look`, `join` and the question who it is, and notes what came in by standard input. */
function guest(state: string, join: { exitCode: number; stderr: string }, tags = [self.Tags, self.Tags]) {
  const inputs: unknown[] = [];
  const answers = {
    look: { exitCode: 0, stdout: `${state}\n`, stderr: "" },
    join: { ...join, stdout: "" },
    who: { exitCode: 0, stdout: JSON.stringify({ Self: self }), stderr: "" },
  };
  let asks = 0;
  const exec = async ([, , , name = "who"]: string[], _limit: number, input?: unknown) => {
    if (name === "who") answers.who.stdout = JSON.stringify({ Self: { ...self, Tags: tags[asks++] } });
    if (input !== undefined) inputs.push(input);
    return answers[name as keyof typeof answers];
  };
  return { agent: { exec } as unknown as GuestAgent, inputs };
}

test("a VM that is logged in has no key made", async () => {
  const { agent, inputs } = guest("Running", { exitCode: 1, stderr: "not asked" });
  expect(await joinTailnet(agent, "web", { anew: false, key }, 1)).toMatchObject({ id: "1" });
  expect(asked()).toEqual([]);
  expect(inputs).toEqual([]);
});

test("one that is not is given its key on standard input alone, and that is good for nothing else, used or not", async () => {
  const { agent, inputs } = guest("NeedsLogin", { exitCode: 0, stderr: "" });
  await joinTailnet(agent, "web", { anew: true, key }, 1);
  expect(inputs).toEqual(["tskey-minted"]);
  expect(asked()).toEqual(["POST /api/v2/tailnet/-/keys", "DELETE /api/v2/tailnet/-/keys/k1"]);
});

test("a key for more than one use stays, for what else has it", async () => {
  const { agent } = guest("NeedsLogin", { exitCode: 0, stderr: "" });
  await joinTailnet(agent, "web", { anew: true, key: { ...key, reusable: true } }, 1);
  expect(asked()).toEqual(["POST /api/v2/tailnet/-/keys"]);
});

test("a VM that has joined is not held to be outside where its key cannot be revoked", async () => {
  const { agent } = guest("NeedsLogin", { exitCode: 0, stderr: "" });
  server.answer = ({ method }) =>
    method === "DELETE" ? { status: 403, body: { message: "no" } } : { body: { id: "k1", key: "tskey-minted" } };
  expect(await joinTailnet(agent, "web", { anew: true, key }, 1)).toMatchObject({ id: "1" });
});

test("one that is logged in without the tag is given a key, and has it then", async () => {
  const { agent, inputs } = guest("Running", { exitCode: 0, stderr: "" }, [["tag:old"], ["tag:project-vm", "tag:x"]]);
  expect(await joinTailnet(agent, "web", { anew: false, key }, 1)).toMatchObject({ id: "1" });
  expect(inputs).toEqual(["tskey-minted"]);
});

test.each([
  ["other tags", ["tag:old"]],
  ["no tags", undefined],
])("a key that gives %s is refused", async (_, tags) => {
  const { agent } = guest("NeedsLogin", { exitCode: 0, stderr: "" }, [tags as string[]]);
  await expect(joinTailnet(agent, "web", { anew: true, key }, 1)).rejects.toThrow(
    "the key that it joined with does not give it tag:project-vm",
  );
  expect(asked()).toEqual(["POST /api/v2/tailnet/-/keys", "DELETE /api/v2/tailnet/-/keys/k1"]);
});

test("a key that was not used is revoked, and the reason is the guest's", async () => {
  const { agent } = guest("NeedsLogin", { exitCode: 1, stderr: "did not log in: NoState" });
  await expect(joinTailnet(agent, "web", { anew: true, key }, 1)).rejects.toThrow("did not log in: NoState");
  expect(asked()).toEqual(["POST /api/v2/tailnet/-/keys", "DELETE /api/v2/tailnet/-/keys/k1"]);
});

test("a guest that took it and tells what cannot be loses it", async () => {
  const { agent } = guest("NeedsLogin", { exitCode: 0, stderr: "" });
  await expect(joinTailnet(agent, "another", { anew: true, key }, 1)).rejects.toThrow("DNSName: must be");
  expect(asked()).toEqual(["POST /api/v2/tailnet/-/keys", "DELETE /api/v2/tailnet/-/keys/k1"]);
});

test.each([
  ['{"BackendState": "NeedsLogin"}', true],
  ['{"BackendState": "Running"}', false],
  ['{"BackendState": "Stopped"}', false],
])("a guest whose tailscale says %s is logged out: %s", async (stdout, expected) => {
  const exec = async () => ({ exitCode: 0, stdout, stderr: "" });
  expect(await isLoggedOut({ exec, domain: "project-web" } as unknown as GuestAgent, 1)).toBe(expected);
});

test("what a guest says of why it cannot tell stands on marked lines", async () => {
  const exec = async () => ({ exitCode: 1, stdout: "one\ntwo\nproject-db: READY\n", stderr: "" });
  const asking = isLoggedOut({ exec, domain: "project-web" } as unknown as GuestAgent, 1);
  await expect(asking).rejects.toThrow(
    /^project-web: tailscale failed \(exit code 1\):\n {2}\| one\n {2}\| two\n {2}\| project-db: READY$/,
  );
});

test("a guest that fails without a word is told of in one line", async () => {
  const exec = async () => ({ exitCode: 3, stdout: " \n", stderr: "" });
  const asking = isLoggedOut({ exec, domain: "project-web" } as unknown as GuestAgent, 1);
  await expect(asking).rejects.toThrow(/^project-web: tailscale failed \(exit code 3\)$/);
});

test.each(["", "[]", '{"BackendState": 1}', `{"BackendState": "${"x".repeat(50)}"}`])(
  "%s is refused",
  async (stdout) => {
    const exec = async () => ({ exitCode: 0, stdout, stderr: "" });
    const asking = isLoggedOut({ exec, domain: "project-web" } as unknown as GuestAgent, 1);
    await expect(asking).rejects.toThrow("project-web: tailscale status");
  },
);

test.each([
  ["logs out", 0],
  ["does not log out, and says so", 1],
])("a VM that leaves its tailnet and %s has forgotten it", async (_, exitCode) => {
  const dir = mkdtempSync(path.join(tmpdir(), "leave-"));
  let script = "";
  const exec = async (command: string[]) => {
    script = command[2] ?? "";
    return { exitCode: 0, stdout: "", stderr: "" };
  };
  await leaveTailnet({ exec } as unknown as GuestAgent, 1);
  writeFileSync(path.join(dir, "tailnet"), "");
  writeFileSync(path.join(dir, "tailscale"), `#!/bin/sh\necho not now\nexit ${exitCode}\n`, { mode: 0o755 });
  writeFileSync(path.join(dir, "systemctl"), "#!/bin/sh\n", { mode: 0o755 });
  const env = { PATH: `${dir}:${process.env.PATH}` };
  const ran = execaSync("/bin/sh", ["-c", script.replaceAll("/etc/project-vm", dir)], { env, reject: false });
  expect([ran.exitCode, ran.stdout, existsSync(path.join(dir, "tailnet"))]).toEqual([exitCode, "not now", false]);
  rmSync(dir, { recursive: true });
});

test("without credentials where the command runs nothing is asked of the guest's tailnet, and the remedy is told", async () => {
  delete process.env.TAILSCALE_API_KEY;
  const { agent, inputs } = guest("NeedsLogin", { exitCode: 0, stderr: "" });
  await expect(joinTailnet(agent, "web", { anew: true, key }, 1)).rejects.toThrow("needs credentials of its API");
  expect(inputs).toEqual([]);
});
