import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TailscaleClient } from "../../../toolchain/tailscale/client.ts";
import type { TailscaleConfig } from "../../../toolchain/tailscale/config.ts";
import { type Answer, HttpServer } from "../tailnet/http-server.ts";

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
beforeEach(() => server.reset());
afterAll(() => server.close());

const config = (change: Partial<TailscaleConfig> = {}): TailscaleConfig => ({
  baseUrl: server.url,
  tailnet: "example.com",
  userAgent: "test",
  credentials: { kind: "apiKey", apiKey: "tskey-api-hush" },
  ...change,
});
const client = (change?: Partial<TailscaleConfig>) => new TailscaleClient(config(change), 2000);

describe("requests", () => {
  test("name the tailnet, the caller and its key", async () => {
    await client({ tailnet: "a/b" }).getKey("k 1");
    expect(server.requests).toMatchObject([
      {
        method: "GET",
        path: "/api/v2/tailnet/a%2Fb/keys/k%201",
        headers: { authorization: "Bearer tskey-api-hush", "user-agent": "test", accept: "application/json" },
      },
    ]);
  });

  test("carry filters, each value of its own", async () => {
    server.answers({ body: { devices: [{ id: "1" }] } });
    const devices = await client().devices([
      ["tags", "tag:a"],
      ["tags", "tag:b"],
    ]);
    expect(devices).toEqual([{ id: "1" }]);
    expect(server.requests[0]?.path).toBe("/api/v2/tailnet/example.com/devices?tags=tag%3Aa&tags=tag%3Ab");
  });

  test("a key that is not there is none, and is deleted already", async () => {
    server.answers({ status: 404, body: { message: "not found" } });
    expect(await client().getKey("k1")).toBeUndefined();
    await client().deleteKey("k1");
    expect(server.requests.map(({ method }) => method)).toEqual(["GET", "DELETE"]);
  });
});

describe("an OAuth client", () => {
  const oauth: Partial<TailscaleConfig> = {
    credentials: { kind: "oauth", clientId: "id", clientSecret: "hush", scopes: ["a", "b"] },
  };
  const token = { access_token: "tskey-api-token", token_type: "Bearer", expires_in: 3600 };

  test("gets a token once, and uses it", async () => {
    server.answer = ({ path }) => ({ body: path.endsWith("/token") ? token : {} });
    const one = client(oauth);
    await one.devices([]);
    await one.devices([]);
    expect(server.requests.map(({ path }) => path)).toEqual([
      "/api/v2/oauth/token",
      "/api/v2/tailnet/example.com/devices",
      "/api/v2/tailnet/example.com/devices",
    ]);
    expect(server.requests[0]?.body).toBe("grant_type=client_credentials&client_id=id&client_secret=hush&scope=a+b");
    expect(server.requests[1]?.headers.authorization).toBe("Bearer tskey-api-token");
  });

  test("gets another token when the first one is about to end", async () => {
    server.answer = ({ path }) => ({ body: path.endsWith("/token") ? { ...token, expires_in: 5 } : {} });
    const one = client(oauth);
    await one.devices([]);
    await one.devices([]);
    expect(server.requests.filter(({ path }) => path.endsWith("/token"))).toHaveLength(2);
  });

  test("that is refused says so without its secret", async () => {
    server.answers({ status: 401, body: { message: "API token invalid" } });
    await expect(client(oauth).devices([])).rejects.toThrow(
      new Error("oauth2: cannot fetch token: API token invalid (401)"),
    );
  });
});

describe("errors", () => {
  test.each<[string, Answer, string]>([
    [
      "the API's message and the status",
      { status: 401, body: { message: "API token invalid" } },
      "API token invalid (401)",
    ],
    [
      "a tag that is not one's own",
      { status: 400, body: { message: "requested tags [tag:a] are invalid or not permitted" } },
      "requested tags [tag:a] are invalid or not permitted (400)",
    ],
    [
      "a rate limit, at once",
      { status: 429, headers: { "Retry-After": "1" }, body: { message: "slow down" } },
      "slow down (429)",
    ],
    ["a proxy's page", { status: 502, body: "<html>" }, "Bad Gateway (502)"],
    ["an answer that is none", { body: "tskey-auth-hush" }, "the API's answer is no JSON"],
  ])("%s", async (_, answer, message) => {
    server.answers(answer);
    await expect(client().devices([])).rejects.toMatchObject({ message });
    expect(server.requests).toHaveLength(1);
  });

  test("no answer in time", async () => {
    server.answers("hang");
    await expect(client().devices([])).rejects.toThrow(
      new Error(`GET ${server.url}/api/v2/tailnet/example.com/devices: no answer within 2 s`),
    );
  });

  test("nobody there", async () => {
    const nobody = client({ baseUrl: "http://127.0.0.1:1" });
    await expect(nobody.devices([])).rejects.toThrow(/^GET http:\/\/127\.0\.0\.1:1\/api.*: /);
  });

  test("cancel ends what is under way, and nothing that comes after", async () => {
    server.answers("hang", { body: { devices: [] } });
    const one = new TailscaleClient(config());
    const pending = one.devices([]);
    await expect.poll(() => server.requests.length).toBe(1);
    one.cancel();
    await expect(pending).rejects.toThrow(/canceled$/);
    expect(await one.devices([])).toEqual([]);
  });
});
