import { randomBytes } from "node:crypto";
import { type ApiAnswer, notPermitted, tokenInvalid } from "./api-answers.ts";

/** An OAuth client. */
export interface OAuthClient {
  id: string;
  secret: string;
  /** What it may do: `auth_keys`, `devices:core`, `all`. */
  scopes: string[];
}

/** Who asks: somebody with an API key, or an OAuth client. */
export type Caller = "user" | "client";

/** How long a token lasts, in seconds. */
const tokenLife = 3600;

/** Whom the API lets in, and to what. */
export class ApiCredentials {
  private readonly apiKeys: readonly string[];
  private readonly clients: readonly OAuthClient[];
  private readonly tokens = new Map<string, OAuthClient>();

  constructor(apiKeys: readonly string[], clients: readonly OAuthClient[]) {
    this.apiKeys = apiKeys;
    this.clients = clients;
  }

  /** `POST /api/v2/oauth/token`: credentials come in the form or, as HTTP has it, in the header. */
  token(authorization: string | undefined, body: string): ApiAnswer {
    const form = new URLSearchParams(body);
    const [basicId, basicSecret] = basic(authorization) ?? [];
    const id = form.get("client_id") ?? basicId;
    const secret = form.get("client_secret") ?? basicSecret;
    const client = this.clients.find((one) => one.id === id && one.secret === secret);
    if (client === undefined) return tokenInvalid;
    const token = `tskey-api-${randomBytes(12).toString("hex")}`;
    this.tokens.set(token, client);
    const scope = client.scopes.join(" ");
    return { status: 200, body: { access_token: token, token_type: "Bearer", expires_in: tokenLife, scope } };
  }

  /** Answers for those who may, and refuses the others. */
  async guard(
    authorization: string | undefined,
    scope: string,
    answer: (caller: Caller) => ApiAnswer | Promise<ApiAnswer>,
  ): Promise<ApiAnswer> {
    // An API key comes as a bearer or, which the official client does, as the user of a basic authorization.
    const credential = /^Bearer (.*)$/.exec(authorization ?? "")?.[1] ?? basic(authorization)?.[0] ?? "";
    if (this.apiKeys.includes(credential)) return answer("user");
    const client = this.tokens.get(credential);
    if (client === undefined) return tokenInvalid;
    return client.scopes.includes("all") || client.scopes.includes(scope) ? answer("client") : notPermitted;
  }
}

function basic(authorization: string | undefined): [user: string, password: string] | undefined {
  const encoded = /^Basic (.*)$/.exec(authorization ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const [user = "", ...password] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  return [user, password.join(":")];
}
