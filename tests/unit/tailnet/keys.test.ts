import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { keyDescription, mintHeadscaleKey, mintTailscaleKey } from "../../../src/tailnet/keys.ts";
import { HttpServer } from "./http-server.ts";
import { impatient } from "./samples.ts";

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
beforeEach(() => server.reset());
afterAll(() => server.close());

const request = { user: "vms", tags: ["tag:project-vm"], reusable: false, ephemeral: false, expirySeconds: 600 };
const mint = () => mintHeadscaleKey({ kind: "headscale", url: server.url, apiKey: "hush" }, request, impatient);
const users = { body: { users: [{ id: "7", name: "vms" }] } };

test("a key is made for the user, and expires", async () => {
  server.answers(users, { body: { preAuthKey: { id: "3", key: "0123" } } });
  expect(await mint()).toMatchObject({ key: "0123" });
  expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /api/v1/user?name=vms",
    "POST /api/v1/preauthkey",
  ]);
  const { expiration, ...body } = JSON.parse(server.requests[1]?.body ?? "");
  expect(body).toEqual({ user: "7", reusable: false, ephemeral: false, aclTags: ["tag:project-vm"] });
  const seconds = (Date.parse(expiration) - Date.now()) / 1000;
  expect(Math.round(seconds)).toBe(600);
});

test("a user that is not there is told, with the remedy", async () => {
  server.answers({ body: { users: [] } });
  await expect(mint()).rejects.toThrow(
    new UserError("The headscale server does not have the user that the VMs are to belong to.", [
      { path: server.url, rule: "must have the user", value: "vms", remedy: "headscale users create vms" },
    ]),
  );
});

test("a key that is not taken is not shown", async () => {
  server.answers({ status: 401, body: "Unauthorized" });
  await expect(mint()).rejects.toThrow("must take the API key or the OAuth client, but says: Unauthorized (401)");
  await expect(mint()).rejects.not.toThrow("hush");
});

test("a key that was not used is revoked", async () => {
  server.answers(users, { body: { preAuthKey: { key: "0123" } } });
  const { revoke } = await mint();
  await revoke();
  expect(server.requests.at(-1)).toMatchObject({ method: "POST", path: "/api/v1/preauthkey/expire" });
  expect(JSON.parse(server.requests.at(-1)?.body ?? "")).toEqual({ user: "7", key: "0123" });
});

test("a server that has ids of keys is given the key's, by which newer ones go alone", async () => {
  server.answers(users, { body: { preAuthKey: { id: "3", key: "0123" } } }, {});
  await (await mint()).revoke();
  expect(JSON.parse(server.requests.at(-1)?.body ?? "")).toEqual({ id: "3", user: "7", key: "0123" });
});

test("a server that no longer answers is asked twice to revoke", async () => {
  server.answers(users, { body: { preAuthKey: { id: "3", key: "0123" } } });
  const { revoke } = await mintHeadscaleKey({ kind: "headscale", url: server.url, apiKey: "hush" }, request, {
    ...impatient,
    tries: 4,
  });
  const asked = server.requests.length;
  server.answers({ status: 503 }, { status: 503 }, { status: 503 }, { status: 503 });
  await expect(revoke()).rejects.toThrow(UserError);
  expect(server.requests.length - asked).toBe(2);
});

const tailscaleKey = { ...request, description: keyDescription("storage", "web") };
const mintTailscale = () =>
  mintTailscaleKey(
    { kind: "tailscale", baseUrl: server.url, credentials: { apiKey: "hush" } },
    tailscaleKey,
    impatient,
  );

test("a key of the Tailscale API is pre-approved and tagged, and can be revoked", async () => {
  server.answers({ body: { id: "k/1", key: "tskey" } });
  const { key, revoke } = await mintTailscale();
  expect(key).toBe("tskey");
  const [asked] = server.requests;
  expect(asked).toMatchObject({ method: "POST", path: "/api/v2/tailnet/-/keys" });
  expect(JSON.parse(asked?.body ?? "")).toEqual({
    capabilities: {
      devices: { create: { reusable: false, ephemeral: false, preauthorized: true, tags: ["tag:project-vm"] } },
    },
    expirySeconds: 600,
    description: "project-vms storage web",
  });
  await revoke();
  expect(server.requests.at(-1)).toMatchObject({ method: "DELETE", path: "/api/v2/tailnet/-/keys/k%2F1" });
});

test("credentials that the Tailscale API does not take are not shown", async () => {
  server.answers({ status: 401, body: { message: "no: hush" } });
  await expect(mintTailscale()).rejects.toThrow(
    "must take the API key or the OAuth client, but says: no: [secret] (401)",
  );
});

test("a description has what the Tailscale API takes, and no more than 50 characters", () => {
  expect(keyDescription("my.stack", "web")).toBe("project-vms my-stack web");
  expect(keyDescription("s".repeat(60), "web")).toHaveLength(50);
});
