import type { TailnetSettings } from "../config/settings.ts";
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
 * @see https://www.pulumi.com/registry/packages/tailscale/installation-configuration/
 */
export function withEnvironment(config: ApiConfig, environment: NodeJS.ProcessEnv): ApiConfig {
  const configured = Boolean(config.apiKey || config.oauthClientSecret);
  return {
    ...(configured
      ? config
      : {
          apiKey: environment.TAILSCALE_API_KEY,
          oauthClientId: environment.TAILSCALE_OAUTH_CLIENT_ID,
          oauthClientSecret: environment.TAILSCALE_OAUTH_CLIENT_SECRET,
        }),
    tailnet: config.tailnet ?? environment.TAILSCALE_TAILNET,
    baseUrl: config.baseUrl ?? environment.TAILSCALE_BASE_URL,
    headscaleApiKey: config.headscaleApiKey ?? environment.HEADSCALE_API_KEY,
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

/** What of the API's credentials is in a config, as Pulumi hands it over: without what is not there. */
export function apiConfigOf(all: Record<string, string>): ApiConfig {
  const keys = ["apiKey", "oauthClientId", "oauthClientSecret", "tailnet", "baseUrl"].map((key) => `tailscale:${key}`);
  const found = [...keys, "project-vms:headscaleApiKey"].filter((key) => all[key]);
  return Object.fromEntries(found.map((key) => [key.split(":")[1], all[key]]));
}
