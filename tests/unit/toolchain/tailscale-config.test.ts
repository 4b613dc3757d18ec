import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readConfig } from "../../../toolchain/tailscale/config.ts";

const folder = mkdtempSync(join(tmpdir(), "tailscale-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "key"), "from-file\n");

describe("credentials", () => {
  test.each<[string, Record<string, unknown>, NodeJS.ProcessEnv, object]>([
    ["an API key", { apiKey: "k" }, {}, { kind: "apiKey", apiKey: "k" }],
    ["an API key of the environment", {}, { TAILSCALE_API_KEY: "e" }, { kind: "apiKey", apiKey: "e" }],
    ["what is given goes first", { apiKey: "k" }, { TAILSCALE_API_KEY: "e" }, { kind: "apiKey", apiKey: "k" }],
    ["a file", { apiKey: `file:${folder}/key` }, {}, { kind: "apiKey", apiKey: "from-file" }],
    [
      "an OAuth client",
      { oauthClientId: "i", oauthClientSecret: "s", scopes: '["auth_keys","devices:core"]' },
      {},
      { kind: "oauth", clientId: "i", clientSecret: "s", scopes: ["auth_keys", "devices:core"] },
    ],
    [
      "an OAuth client of the environment",
      {},
      { TAILSCALE_OAUTH_CLIENT_ID: "i", TAILSCALE_OAUTH_CLIENT_SECRET: "s" },
      { kind: "oauth", clientId: "i", clientSecret: "s", scopes: [] },
    ],
    [
      "an OAuth client by the old variables",
      {},
      { OAUTH_CLIENT_ID: "i", OAUTH_CLIENT_SECRET: "s" },
      { kind: "oauth", clientId: "i", clientSecret: "s", scopes: [] },
    ],
  ])("%s", (_, given, environment, expected) => {
    expect(readConfig(given, environment).credentials).toEqual(expected);
  });

  test.each<[Record<string, unknown>, string]>([
    [{}, "Provider credentials error: tailscale provider credentials are empty - set `apiKey` or 'oauthClientId'"],
    [{ apiKey: "hush", oauthClientId: "i" }, "credentials are conflicting - `apiKey` conflicts with 'oauthClientId'"],
    [{ oauthClientSecret: "hush" }, "tailscale provider argument 'oauthClientId' is empty"],
    [{ oauthClientId: "hush" }, "one of tailscale provider arguments 'oauthClientSecret', 'identityToken', or"],
    [{ oauthClientId: "i", oauthClientSecret: "hush", scopes: "[1]" }, "'scopes' must be a list of texts"],
    [{ apiKey: "hush", baseUrl: "api" }, 'the base URL "api" is none'],
    [
      { identityToken: "hush" },
      "identityToken is not implemented by this project's stand-in for pulumi-resource-tailscale 0.29.1: install the official one to use it",
    ],
  ])("%j is refused", (given, message) => {
    expect(() => readConfig(given, {})).toThrow(message);
    expect(() => readConfig(given, {})).not.toThrow("hush");
  });
});

test.each<[Record<string, unknown>, NodeJS.ProcessEnv, string, string]>([
  [{}, {}, "https://api.tailscale.com", "-"],
  [{ baseUrl: "http://127.0.0.1:1/", tailnet: "example.com" }, {}, "http://127.0.0.1:1", "example.com"],
  [{}, { TAILSCALE_BASE_URL: "http://127.0.0.1:2", TAILSCALE_TAILNET: "T1" }, "http://127.0.0.1:2", "T1"],
])("%j with %j is for %s, tailnet %s", (given, environment, baseUrl, tailnet) => {
  expect(readConfig({ apiKey: "k", ...given }, environment)).toMatchObject({ baseUrl, tailnet });
});
