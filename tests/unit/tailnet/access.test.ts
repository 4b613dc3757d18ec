import { describe, expect, test } from "vitest";
import { type ApiConfig, accessOf, apiConfigOf, withEnvironment } from "../../../src/tailnet/access.ts";
import { messageOf } from "../config/samples.ts";

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

  test("are without the blanks and line breaks around them; of blanks alone there are none", () => {
    expect(withEnvironment({}, { TAILSCALE_API_KEY: " env\n", HEADSCALE_API_KEY: "\n" })).toEqual({ apiKey: "env" });
    expect(apiConfigOf({ "tailscale:apiKey": "key\r\n", "project-vms:headscaleApiKey": " " })).toEqual({
      apiKey: "key",
    });
  });

  // HTTP takes none of them, and its error shows them.
  test.each(["hush\n# of the laptop", "hush hush", "hush\0", "hush\u200b", "hüsh", "hush\x1b"])(
    "that are more than a word, as %j, are refused before anything is asked, by their place alone",
    (value) => {
      const refusal = (place: string) =>
        `The credentials of the tailnet's API cannot be used.\n  - ${place}: must be one word of ASCII (not shown)\n    write the key or the secret there, alone`;
      const variables = [
        "TAILSCALE_API_KEY",
        "TAILSCALE_OAUTH_CLIENT_ID",
        "TAILSCALE_OAUTH_CLIENT_SECRET",
        "HEADSCALE_API_KEY",
      ];
      for (const name of variables)
        expect(messageOf(() => withEnvironment({}, { [name]: value }))).toBe(refusal(`environment: ${name}`));
      const keys = [
        "tailscale:apiKey",
        "tailscale:oauthClientId",
        "tailscale:oauthClientSecret",
        "project-vms:headscaleApiKey",
      ];
      for (const key of keys)
        expect(messageOf(() => apiConfigOf({ [key]: value }))).toBe(refusal(`the stack's config: ${key}`));
    },
  );

  test("of the environment that the config has others for are not looked at", () => {
    expect(withEnvironment({ apiKey: "key" }, { TAILSCALE_API_KEY: "two words" })).toMatchObject({ apiKey: "key" });
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
