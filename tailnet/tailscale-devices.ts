import { type ApiRequest, askApi, defaultPatience, type Patience } from "./api.ts";
import type { TailnetDevice, TailnetDevices } from "./devices.ts";

/** Who asks the Tailscale API: an API key (`tskey-api-…`), or an OAuth client with the scope `devices:core`. */
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

/** A device as the API describes it, as far as it is used here. */
interface ApiDevice {
  id: string;
  nodeId?: string;
  name?: string;
  hostname?: string;
  tags?: string[];
  nodeKey?: string;
  addresses?: string[];
}

/** The devices of a tailnet of Tailscale's. */
export class TailscaleDevices implements TailnetDevices {
  private readonly access: TailscaleAccess;
  private readonly patience: Patience;
  private token: string | undefined;

  constructor(access: TailscaleAccess, patience: Patience = defaultPatience) {
    this.access = access;
    this.patience = patience;
  }

  async list(): Promise<TailnetDevice[]> {
    const tailnet = encodeURIComponent(this.access.tailnet ?? "-");
    const permission = "list devices (scope devices:core:read)";
    const answer = await this.ask("GET", `/api/v2/tailnet/${tailnet}/devices`, permission);
    return ((answer as { devices?: ApiDevice[] } | undefined)?.devices ?? []).map(describe);
  }

  async remove(id: string): Promise<void> {
    await this.ask("DELETE", `/api/v2/device/${encodeURIComponent(id)}`, "delete devices (scope devices:core)");
  }

  private async ask(method: "GET" | "DELETE", path: string, permission: string): Promise<unknown> {
    const headers = { Authorization: `Bearer ${await this.bearer()}` };
    return askApi({ ...this.common(), method, path, headers, permission }, this.patience);
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

function describe(device: ApiDevice): TailnetDevice {
  return {
    id: device.nodeId ?? device.id,
    name: (device.name ?? "").split(".")[0] ?? "",
    hostname: device.hostname ?? "",
    tags: device.tags ?? [],
    nodeKey: device.nodeKey ?? "",
    addresses: device.addresses ?? [],
  };
}
