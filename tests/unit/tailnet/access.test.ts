import { describe, expect, test } from "vitest";
import { type ApiConfig, accessOf, withEnvironment } from "../../../tailnet/access.ts";

describe("credentials", () => {
  const environment = { TAILSCALE_API_KEY: "env", TAILSCALE_TAILNET: "example.com", HEADSCALE_API_KEY: "hs" };

  test("of the config come before those of the environment, and are not mixed with them", () => {
    expect(withEnvironment({ oauthClientId: "id", oauthClientSecret: "secret" }, environment)).toEqual({
      oauthClientId: "id",
      oauthClientSecret: "secret",
      tailnet: "example.com",
      baseUrl: undefined,
      headscaleApiKey: "hs",
    });
  });

  test("come from the environment where the config has none", () => {
    expect(withEnvironment({}, environment)).toMatchObject({ apiKey: "env", tailnet: "example.com" });
  });
});

describe("the API of a tailnet", () => {
  const headscale = { server: "https://hs", headscale: { user: "vms" } };
  test.each<[string, Parameters<typeof accessOf>[0], ApiConfig, object | undefined]>([
    ["by an API key", {}, { apiKey: "k" }, { kind: "tailscale", credentials: { apiKey: "k" } }],
    [
      "by an OAuth client, at an address of its own",
      {},
      { oauthClientId: "i", oauthClientSecret: "s", tailnet: "t", baseUrl: "https://b" },
      { kind: "tailscale", credentials: { clientId: "i", clientSecret: "s" }, tailnet: "t", baseUrl: "https://b" },
    ],
    ["a headscale's", headscale, { headscaleApiKey: "h" }, { kind: "headscale", url: "https://hs", apiKey: "h" }],
    ["none without credentials", {}, {}, undefined],
    ["none of half an OAuth client", {}, { oauthClientId: "i" }, undefined],
    ["none of a headscale with another's credentials", headscale, { apiKey: "k" }, undefined],
  ])("%s", (_, settings, api, expected) => expect(accessOf(settings, api)).toEqual(expected));
});
