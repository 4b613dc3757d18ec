import { describe, expect, test } from "vitest";
import { parseStackConfig } from "../../../src/config/parse.ts";
import { tailnetIssues } from "../../../src/config/tailnet-settings.ts";
import { UserError } from "../../../src/core/errors.ts";
import { asPulumi, file, messageOf } from "./samples.ts";

const parse = (tailnet: object) => parseStackConfig(asPulumi({ tailnet }), file).tailnet;
const domain = "tail1234.ts.net";

describe("a tailnet in a config", () => {
  test("has its defaults", () => {
    expect(parse({ domain })).toEqual({ domain, tag: "tag:project-vm", reusable: false, keyExpiry: 3600 });
    expect(parseStackConfig({}, file).tailnet).toBeUndefined();
  });

  test("can be a headscale's, and has keys as it is told", () => {
    const headscale = { server: "https://headscale.example.com/", headscale: { user: "vms" } };
    expect(parse({ domain, ...headscale, reusable: true, keyExpiry: "7d" })).toEqual({
      domain,
      tag: "tag:project-vm",
      server: "https://headscale.example.com",
      headscale: { user: "vms" },
      reusable: true,
      keyExpiry: 7 * 86_400,
    });
  });

  test.each([
    [{}, "domain: is missing", "write the tailnet's DNS name, e.g. `tail1234.ts.net`"],
    [
      { domain: "https://tail1234.ts.net/" },
      'domain: must be a domain, not a URL, but is "https://tail1234.ts.net/"',
      "write `tail1234.ts.net`",
    ],
    [
      { domain: "Tail.ts.net" },
      'domain: must be a domain in lower case, without a dot at its end, but is "Tail.ts.net"',
      "write the tailnet's DNS name, e.g. `tail1234.ts.net`",
    ],
    [
      { domain, tag: "project-vm" },
      'tag: must be `tag:` and a name of letters, digits and `-`, but is "project-vm"',
      "write e.g. `tag:project-vm`",
    ],
    [
      { domain, server: "headscale.example.com" },
      'server: must be a URL, but is "headscale.example.com"',
      "write e.g. `https://headscale.example.com`",
    ],
    [
      { domain, server: "https://me:secret@headscale.example.com" },
      "server: must not hold a name or password (value not shown)",
      "write e.g. `https://headscale.example.com`",
    ],
    [
      { domain, server: "https://headscale.example.com/api" },
      'server: must be a server, without a path, but is "https://headscale.example.com/api"',
      "write `https://headscale.example.com`",
    ],
    [
      { domain, keyFile: "key" },
      'keyFile: must be an absolute path, but is "key"',
      "write the file's path, e.g. `/run/secrets/tailscale`",
    ],
    [{ domain, keyExpiry: "91d" }, 'keyExpiry: must be at most 90d, but is "91d"', "write `90d` or less"],
    [
      { domain, headscale: {} },
      "headscale.user: is missing",
      "write the name of one that `headscale users list` shows",
    ],
  ])("%j is refused", (tailnet, fact, remedy) => {
    expect(messageOf(() => parse(tailnet))).toBe(
      `Pulumi.local.yaml has 1 mistake. Nothing was created or changed.\n  - Pulumi.local.yaml: tailnet.${fact}\n    ${remedy}`,
    );
  });
});

describe("a tailnet's settings with the credentials that there are", () => {
  const settings = { domain, tag: "tag:project-vm", reusable: false, keyExpiry: 3600 };
  const none = { tailscaleConfig: false, tailscaleEnvironment: false, headscale: false };
  const message = (tailnet: object, given: object) =>
    new UserError("", tailnetIssues({ ...settings, ...tailnet }, { ...none, ...given }, file)).message.trim();
  const server = "https://hs";
  const headscale = { user: "vms" };

  test.each([
    [{}, { tailscaleConfig: true }],
    [{}, { tailscaleEnvironment: true }],
    [{ keyFile: "/key" }, {}],
    [{ keyFile: "/key" }, { tailscaleEnvironment: true }],
    [{ server, headscale }, { headscale: true }],
  ])("%j with %j is well", (tailnet, given) => expect(message(tailnet, given)).toBe(""));

  test.each([
    [
      { keyFile: "/key" },
      { tailscaleConfig: true },
      "tailnet.keyFile: must be the only source of keys, but there is `tailscale:` credentials too",
      "remove one of them: a key comes from the file or from the API",
    ],
    [
      { keyFile: "/key", server, headscale },
      { headscale: true },
      "tailnet.keyFile: must be the only source of keys, but there is `tailnet.headscale` too",
      "remove one of them: a key comes from the file or from the API",
    ],
    [{ headscale }, { headscale: true }, "tailnet.server: is missing", "write the headscale server's URL"],
    [
      { server, headscale },
      {},
      "tailnet.headscale: needs an API key of that server",
      "`pulumi config set --secret headscaleApiKey`, or HEADSCALE_API_KEY in the environment",
    ],
    [
      {},
      {},
      "tailnet: needs credentials for the Tailscale API, or a key",
      "`pulumi config set --secret tailscale:apiKey`, or TAILSCALE_API_KEY in the environment, or `keyFile`, or `headscale`",
    ],
  ])("%j with %j is refused", (tailnet, given, fact, remedy) =>
    expect(message(tailnet, given)).toBe(`- Pulumi.local.yaml: ${fact}\n    ${remedy}`),
  );
});
