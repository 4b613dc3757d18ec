import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { UserError } from "../../../config/errors.ts";
import { mintHeadscaleKey } from "../../../tailnet/keys.ts";
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
  const preAuthKey = { id: "3", key: "0123", expiration: "2026-01-01T00:10:00Z" };
  server.answers(users, { body: { preAuthKey } });
  expect(await mint()).toEqual({ id: "3", key: "0123", expires: "2026-01-01T00:10:00Z" });
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
