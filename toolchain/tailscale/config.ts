import { readFileSync } from "node:fs";
import { notImplemented } from "../plugin/serve.ts";
import { tailscaleVersion } from "../plugin/version.ts";

/** How the provider proves who it is. */
export type Credentials =
  | { kind: "apiKey"; apiKey: string }
  | { kind: "oauth"; clientId: string; clientSecret: string; scopes: string[] };

/** The provider's configuration, complete. */
export interface TailscaleConfig {
  /** Without a slash at its end. */
  baseUrl: string;
  /** A tailnet's id or name; "-" is the one that the credentials belong to. */
  tailnet: string;
  userAgent: string;
  credentials: Credentials;
}

/** What this stand-in is for, as its refusals name it. */
export const standsInFor = `pulumi-resource-tailscale ${tailscaleVersion}`;

/** The configuration's keys that are secret whether the program says so or not, as in the official schema. */
export const secretKeys: readonly string[] = ["apiKey", "identityToken", "oauthClientSecret"];

/** Federated identities: a token of the machine's own is exchanged. There is none here. */
const refusedKeys = ["audience", "identityToken", "identityTokenEnvironmentVariableName"];

/** Where a value comes from that the program does not give: the first variable that is set. */
const variables = {
  apiKey: ["TAILSCALE_API_KEY"],
  oauthClientId: ["TAILSCALE_OAUTH_CLIENT_ID", "OAUTH_CLIENT_ID"],
  oauthClientSecret: ["TAILSCALE_OAUTH_CLIENT_SECRET", "OAUTH_CLIENT_SECRET"],
  tailnet: ["TAILSCALE_TAILNET"],
  baseUrl: ["TAILSCALE_BASE_URL"],
} as const;

/**
 * Completes what a program gives by the environment and the defaults, and checks it.
 *
 * @param given the configuration as it comes: texts, and `scopes` as JSON
 * @param environment the variables that count where nothing is given
 * @throws Error in the official words; none of them shows a credential
 * @example readConfig({ apiKey: "tskey-api-…" }, process.env).tailnet // "-"
 */
export function readConfig(given: Record<string, unknown>, environment: NodeJS.ProcessEnv): TailscaleConfig {
  const refused = refusedKeys.find((key) => given[key] !== undefined);
  if (refused !== undefined) throw notImplemented(refused, standsInFor);
  const value = (key: keyof typeof variables): string => {
    const own = given[key];
    if (typeof own === "string") return own;
    return variables[key].map((name) => environment[name]).find((text) => text) ?? "";
  };
  return {
    baseUrl: checkedUrl(value("baseUrl") || "https://api.tailscale.com"),
    tailnet: value("tailnet") || "-",
    userAgent: typeof given.userAgent === "string" && given.userAgent ? given.userAgent : defaultUserAgent,
    credentials: readCredentials(value, given.scopes),
  };
}

const defaultUserAgent = `pulumi-resource-tailscale/${tailscaleVersion} (stand-in)`;

function readCredentials(value: (key: keyof typeof variables) => string, scopes: unknown): Credentials {
  const [apiKey, clientId, clientSecret] = [value("apiKey"), value("oauthClientId"), value("oauthClientSecret")];
  if (!apiKey && !clientId && !clientSecret) {
    throw problem(
      "tailscale provider credentials are empty - set `apiKey` or 'oauthClientId' and one of 'oauthClientSecret', 'identityToken', or 'audience'",
    );
  }
  if (apiKey && (clientId || clientSecret)) {
    throw problem(
      "tailscale provider credentials are conflicting - `apiKey` conflicts with 'oauthClientId', 'oauthClientSecret', 'identityToken', and 'audience'",
    );
  }
  if (apiKey) return { kind: "apiKey", apiKey: textOrFile(apiKey) };
  if (!clientId) throw problem("tailscale provider argument 'oauthClientId' is empty");
  if (!clientSecret) {
    throw problem(
      "one of tailscale provider arguments 'oauthClientSecret', 'identityToken', or 'audience' are mandatory with 'oauthClientId'",
    );
  }
  return {
    kind: "oauth",
    clientId: textOrFile(clientId),
    clientSecret: textOrFile(clientSecret),
    scopes: readScopes(scopes),
  };
}

function problem(detail: string): Error {
  return new Error(`Provider credentials error: ${detail}`);
}

/** A credential may be in a file: `file:/path`. */
function textOrFile(text: string): string {
  return text.startsWith("file:") ? readFileSync(text.slice("file:".length), "utf8").trim() : text;
}

/** Lists among a provider's configuration come as JSON. */
function readScopes(scopes: unknown): string[] {
  const list: unknown = typeof scopes === "string" ? JSON.parse(scopes) : (scopes ?? []);
  if (Array.isArray(list) && list.every((scope) => typeof scope === "string")) return list;
  throw problem("tailscale provider argument 'scopes' must be a list of texts");
}

function checkedUrl(text: string): string {
  if (!URL.canParse(text)) throw new Error(`Could not parse base URL: the base URL ${JSON.stringify(text)} is none`);
  return text.replace(/\/+$/, "");
}
