import { askApi, defaultPatience, type Patience } from "./api.ts";
import type { ApiRequest } from "./api-request.ts";

/** Who asks the Tailscale API: an API key (`tskey-api-…`), or an OAuth client with the scopes `auth_keys` and `devices:core`. */
export type TailscaleCredentials = { apiKey: string } | { clientId: string; clientSecret: string };

/** How the Tailscale API is reached. */
export interface TailscaleAccess {
  kind: "tailscale";
  /** @default "https://api.tailscale.com" */
  baseUrl?: string;
  /**
   * The tailnet's id or name.
   * @default "-", the tailnet that the credentials belong to
   */
  tailnet?: string;
  credentials: TailscaleCredentials;
}

/** Asks the Tailscale API with an API key, or with an OAuth client's token. */
export class TailscaleClient {
  private readonly access: TailscaleAccess;
  private readonly patience: Patience;
  private token: string | undefined;

  constructor(access: TailscaleAccess, patience: Patience = defaultPatience) {
    this.access = access;
    this.patience = patience;
  }

  /** Where all that belongs to the tailnet begins. */
  get tailnetPath(): string {
    return `/api/v2/tailnet/${encodeURIComponent(this.access.tailnet ?? "-")}`;
  }

  /**
   * @param body for a POST
   * @throws {UserError} as {@link askApi} does
   */
  async ask(method: ApiRequest["method"], path: string, permission: string, body?: object): Promise<unknown> {
    const headers = {
      Authorization: `Bearer ${await this.bearer()}`,
      ...(body ? { "Content-Type": "application/json" } : {}),
    };
    const request = { ...this.common(), method, path, headers, permission };
    return askApi({ ...request, ...(body ? { body: JSON.stringify(body) } : {}) }, this.patience);
  }

  /** An OAuth client's token lasts an hour: longer than any use of this. */
  private async bearer(): Promise<string> {
    const { credentials } = this.access;
    if ("apiKey" in credentials) return credentials.apiKey;
    this.token ??= await this.fetchToken(credentials.clientId, credentials.clientSecret);
    return this.token;
  }

  private async fetchToken(clientId: string, clientSecret: string): Promise<string> {
    const form = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret };
    const request: ApiRequest = {
      ...this.common(),
      method: "POST",
      path: "/api/v2/oauth/token",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(form).toString(),
      permission: "get a token",
    };
    const answer = (await askApi(request, this.patience)) as { access_token?: string } | undefined;
    if (!answer?.access_token) throw new Error(`${request.path} answers without an access_token`);
    return answer.access_token;
  }

  private common(): { baseUrl: string; secrets: string[] } {
    const { baseUrl = "https://api.tailscale.com", credentials } = this.access;
    const own = "apiKey" in credentials ? [credentials.apiKey] : [credentials.clientSecret];
    return { baseUrl, secrets: this.token === undefined ? own : [...own, this.token] };
  }
}
