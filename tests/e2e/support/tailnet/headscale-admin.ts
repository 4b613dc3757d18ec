/** A key as headscale has it; in its own REST API's terms. */
export interface PreAuthKey {
  id: string;
  key: string;
  reusable?: boolean;
  ephemeral?: boolean;
  used?: boolean;
  expiration: string;
  createdAt: string;
  aclTags?: string[];
}

/** A node as headscale has it. */
export interface Node {
  id: string;
  machineKey: string;
  nodeKey: string;
  name: string;
  givenName: string;
  ipAddresses: string[];
  forcedTags?: string[];
  validTags?: string[];
  online?: boolean;
  createdAt: string;
  lastSeen?: string | null;
  expiry?: string | null;
  preAuthKey?: PreAuthKey | null;
  user: { id: string; name: string };
}

/** What a key is to be like. */
export interface KeyWish {
  tags?: string[];
  reusable?: boolean;
  ephemeral?: boolean;
  /** @default 3600 */
  expirySeconds?: number;
}

/** For headscale to answer, in milliseconds. */
const answerLimit = 20_000;

/** headscale's REST API, as an administrator uses it. */
export class HeadscaleAdmin {
  readonly url: string;
  readonly apiKey: string;

  constructor(url: string, apiKey: string) {
    this.url = url;
    this.apiKey = apiKey;
  }

  async createUser(name: string): Promise<string> {
    const { user } = (await this.ask("POST", "user", { name })) as { user: { id: string } };
    return user.id;
  }

  async createKey(user: string, wish: KeyWish = {}): Promise<PreAuthKey> {
    const { tags = [], reusable = false, ephemeral = false, expirySeconds = 3600 } = wish;
    const expiration = new Date(Date.now() + expirySeconds * 1000).toISOString();
    const body = { user, reusable, ephemeral, expiration, aclTags: tags };
    const answer = await this.ask("POST", "preauthkey", body);
    return (answer as { preAuthKey: PreAuthKey }).preAuthKey;
  }

  async keys(user: string): Promise<PreAuthKey[]> {
    const answer = await this.ask("GET", `preauthkey?user=${user}`);
    return (answer as { preAuthKeys: PreAuthKey[] }).preAuthKeys;
  }

  /** Makes a key worthless, as its expiry or its revocation would. */
  async expireKey(user: string, key: string): Promise<void> {
    await this.ask("POST", "preauthkey/expire", { user, key });
  }

  async nodes(): Promise<Node[]> {
    return ((await this.ask("GET", "node")) as { nodes: Node[] }).nodes;
  }

  async deleteNode(id: string): Promise<void> {
    await this.ask("DELETE", `node/${id}`);
  }

  private async ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.apiKey}` },
      signal: AbortSignal.timeout(answerLimit),
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`headscale: ${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }
}
