import type { TailscaleConfig } from "./config.ts";

/** An auth key, as the API describes it. Only the answer to its creation has the key itself. */
export interface Key {
  id: string;
  keyType?: string;
  key?: string;
  description?: string;
  /** Seconds from its creation to its end. */
  expirySeconds?: number;
  created: string;
  expires: string;
  /** Expired, revoked or used up. */
  invalid?: boolean;
  userId?: string;
  capabilities: { devices: { create: KeyCapabilities } };
}

/** What a device that joins with a key becomes. */
export interface KeyCapabilities {
  reusable?: boolean;
  ephemeral?: boolean;
  preauthorized?: boolean;
  tags?: string[] | null;
}

/** What is asked for when a key is created; 0 seconds is the tailnet's default. */
export interface KeyRequest {
  capabilities: { devices: { create: Required<KeyCapabilities> } };
  expirySeconds: number;
  description: string;
}

/** A device, as the API describes it. */
export type Device = Record<string, unknown>;

/** An answer that is an error. Its text is the API's message and the status, as the official client writes it. */
export class ApiError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(`${message} (${status})`);
    this.status = status;
  }
}

/** How long one request may take, in milliseconds: as the official client has it. It does not retry either. */
const defaultTimeout = 60_000;

/** A token is renewed this long before its end, in milliseconds. */
const tokenMargin = 10_000;

/** The part of the Tailscale API that the stand-in uses. */
export class TailscaleClient {
  private readonly config: TailscaleConfig;
  private readonly timeout: number;
  private token: { value: string; until: number } | undefined;
  private cancelled = new AbortController();

  /** @param timeout of one request, in milliseconds */
  constructor(config: TailscaleConfig, timeout = defaultTimeout) {
    this.config = config;
    this.timeout = timeout;
  }

  async createKey(request: KeyRequest): Promise<Key> {
    return (await this.call("POST", this.tailnetPath("keys"), request)) as Key;
  }

  /** @returns undefined if the API does not know the key, or not any more */
  async getKey(id: string): Promise<Key | undefined> {
    return (await unlessMissing(this.call("GET", this.tailnetPath("keys", id)))) as Key | undefined;
  }

  /** Revokes a key; one that is gone is as good. */
  async deleteKey(id: string): Promise<void> {
    await unlessMissing(this.call("DELETE", this.tailnetPath("keys", id)));
  }

  /** @param filters devices that have one of the values for each name; the API does the filtering */
  async devices(filters: [name: string, value: string][]): Promise<Device[]> {
    const query = filters.length > 0 ? `?${new URLSearchParams(filters)}` : "";
    const answer = (await this.call("GET", this.tailnetPath("devices") + query)) as { devices?: Device[] };
    return answer.devices ?? [];
  }

  /** Ends all requests that are under way. */
  cancel(): void {
    this.cancelled.abort();
    this.cancelled = new AbortController();
  }

  private tailnetPath(...parts: string[]): string {
    return ["/api/v2/tailnet", ...[this.config.tailnet, ...parts].map(encodeURIComponent)].join("/");
  }

  private async call(method: string, path: string, body?: object): Promise<unknown> {
    const headers: Record<string, string> = { Authorization: `Bearer ${await this.bearer()}` };
    if (body === undefined) headers.Accept = "application/json";
    else headers["Content-Type"] = "application/json";
    const answer = await this.send(method, path, headers, body && JSON.stringify(body));
    if (answer.status >= 400) throw apiError(answer);
    return answer.text === "" ? undefined : parse(answer);
  }

  private async bearer(): Promise<string> {
    const { credentials } = this.config;
    if (credentials.kind === "apiKey") return credentials.apiKey;
    if (this.token && this.token.until > Date.now()) return this.token.value;
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: credentials.clientId,
      client_secret: credentials.clientSecret,
      ...(credentials.scopes.length > 0 ? { scope: credentials.scopes.join(" ") } : {}),
    });
    const type = { "Content-Type": "application/x-www-form-urlencoded" };
    const answer = await this.send("POST", "/api/v2/oauth/token", type, form.toString());
    if (answer.status >= 400) throw new Error(`oauth2: cannot fetch token: ${apiError(answer).message}`);
    const { access_token, expires_in } = parse(answer) as { access_token?: string; expires_in?: number };
    if (!access_token) throw new Error("oauth2: server response missing access_token");
    this.token = { value: access_token, until: Date.now() + (expires_in ?? 0) * 1000 - tokenMargin };
    return access_token;
  }

  private async send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer> {
    const limit = AbortSignal.timeout(this.timeout);
    try {
      const response = await fetch(this.config.baseUrl + path, {
        method,
        headers: { "User-Agent": this.config.userAgent, ...headers },
        signal: AbortSignal.any([limit, this.cancelled.signal]),
        ...(body === undefined ? {} : { body }),
      });
      return { status: response.status, statusText: response.statusText, text: await response.text() };
    } catch (error) {
      const what = limit.aborted ? `no answer within ${this.timeout / 1000} s` : reason(error);
      throw new Error(`${method} ${this.config.baseUrl}${path}: ${what}`);
    }
  }
}

interface Answer {
  status: number;
  statusText: string;
  text: string;
}

async function unlessMissing(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function apiError({ status, statusText, text }: Answer): ApiError {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === "string" && message) return new ApiError(message, status);
  } catch {
    // A proxy's page, for example: the status line says as much.
  }
  return new ApiError(statusText || "an answer without a message", status);
}

function parse({ text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What came is not shown: it may hold a key.
    throw new Error("the API's answer is no JSON");
  }
}

/** fetch itself only says "fetch failed"; why is in its cause. */
function reason(error: unknown): string {
  const { cause, message, name } = error as Error;
  if (name === "AbortError") return "canceled";
  const { code, message: text } = (cause ?? {}) as { code?: string; message?: string };
  return text || code || message;
}
