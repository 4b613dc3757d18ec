import type { TailnetSettings } from "../config/settings.ts";
import { UserError } from "../core/errors.ts";
import type { HeadscaleAccess } from "./headscale.ts";
import type { TailscaleAccess, TailscaleCredentials } from "./tailscale.ts";

/** The credentials of a tailnet's API, as they are configured; all secrets but `tailnet` and `baseUrl`. */
export interface ApiConfig {
  apiKey?: string | undefined;
  oauthClientId?: string | undefined;
  oauthClientSecret?: string | undefined;
  tailnet?: string | undefined;
  baseUrl?: string | undefined;
  headscaleApiKey?: string | undefined;
}

/**
 * The API credentials that hold: what is configured, and what is not from the usual environment variables.
 * @throws {UserError} for one of the environment's that is no word
 * @see https://www.pulumi.com/registry/packages/tailscale/installation-configuration/
 */
export function withEnvironment(config: ApiConfig, environment: NodeJS.ProcessEnv): ApiConfig {
  const configured = Boolean(config.apiKey || config.oauthClientSecret);
  const given = (name: string) => oneWord(environment[name], `environment: ${name}`);
  return {
    ...(configured
      ? config
      : {
          apiKey: given("TAILSCALE_API_KEY"),
          oauthClientId: given("TAILSCALE_OAUTH_CLIENT_ID"),
          oauthClientSecret: given("TAILSCALE_OAUTH_CLIENT_SECRET"),
        }),
    tailnet: config.tailnet ?? environment.TAILSCALE_TAILNET,
    baseUrl: config.baseUrl ?? environment.TAILSCALE_BASE_URL,
    headscaleApiKey: config.headscaleApiKey ?? given("HEADSCALE_API_KEY"),
  };
}

/** How the API of a tailnet is reached; undefined where there are no credentials for one. */
export function accessOf(
  { headscale, server }: Pick<TailnetSettings, "headscale" | "server">,
  api: ApiConfig,
): TailscaleAccess | HeadscaleAccess | undefined {
  if (headscale) {
    return server && api.headscaleApiKey ? { kind: "headscale", url: server, apiKey: api.headscaleApiKey } : undefined;
  }
  const credentials = credentialsIn(api);
  if (!credentials) return undefined;
  const { tailnet, baseUrl } = api;
  return { kind: "tailscale", credentials, ...(tailnet ? { tailnet } : {}), ...(baseUrl ? { baseUrl } : {}) };
}

function credentialsIn({ apiKey, oauthClientId, oauthClientSecret }: ApiConfig): TailscaleCredentials | undefined {
  if (apiKey) return { apiKey };
  return oauthClientId && oauthClientSecret ? { clientId: oauthClientId, clientSecret: oauthClientSecret } : undefined;
}

/**
 * What of the API's credentials is in a config, as Pulumi hands it over: without what is not there.
 *
 * @throws {UserError} for one that is no word
 */
export function apiConfigOf(all: Record<string, string>): ApiConfig {
  const credentials = [
    ...["apiKey", "oauthClientId", "oauthClientSecret"].map(ofProvider),
    "project-vms:headscaleApiKey",
  ];
  const found = [
    ...credentials.map((key) => [key, oneWord(all[key], `the stack's config: ${key}`)] as const),
    ...["tailnet", "baseUrl"].map(ofProvider).map((key) => [key, all[key]] as const),
  ];
  return Object.fromEntries(found.filter(([, value]) => value).map(([key, value]) => [key.split(":")[1], value]));
}

const ofProvider = (key: string) => `tailscale:${key}`;

/** A credential without the line break that is often behind one. HTTP takes a word of ASCII, and its error shows what it does not take. */
function oneWord(value: string | undefined, place: string): string | undefined {
  const word = value?.trim();
  if (!word) return undefined;
  if (/^[!-~]+$/.test(word)) return word;
  throw new UserError("The credentials of the tailnet's API cannot be used.", [
    {
      path: place,
      rule: "must be one word of ASCII (not shown)",
      remedy: "write the key or the secret there, alone",
    },
  ]);
}
