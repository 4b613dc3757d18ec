import { type ApiAnswer, apiError, notFound, tagsNotOwned } from "./api-answers.ts";
import type { PreAuthKey } from "./headscale-admin.ts";
import type { Tailnet } from "./tailnet.ts";

/** The body of `POST /api/v2/tailnet/{tailnet}/keys`. */
interface CreateKeyBody {
  capabilities?: {
    devices?: { create?: { reusable?: boolean; ephemeral?: boolean; preauthorized?: boolean; tags?: string[] | null } };
  };
  expirySeconds?: number;
  description?: string;
}

/** A key as it was asked for, and headscale's that it stands for. */
interface StoredKey {
  id: string;
  minted: PreAuthKey;
  description: string;
  expirySeconds: number;
  created: Date;
  revoked?: Date;
  capabilities: { reusable: boolean; ephemeral: boolean; preauthorized: boolean; tags?: string[] };
}

const ninetyDays = 90 * 24 * 3600;

/** The keys of the API. The key itself is headscale's, with which a node really joins. */
export class ApiKeys {
  private readonly tailnet: Tailnet;
  private readonly ownedTags: readonly string[];
  private readonly keys = new Map<string, StoredKey>();

  constructor(tailnet: Tailnet, ownedTags: readonly string[]) {
    this.tailnet = tailnet;
    this.ownedTags = ownedTags;
  }

  async create(body: CreateKeyBody): Promise<ApiAnswer> {
    const {
      reusable = false,
      ephemeral = false,
      preauthorized = false,
      tags,
    } = body.capabilities?.devices?.create ?? {};
    const wanted = tags ?? [];
    const foreign = wanted.filter((tag) => !this.ownedTags.includes(tag));
    if (foreign.length > 0) return tagsNotOwned(foreign);
    const { description = "" } = body;
    if (!/^[\w -]{0,50}$/.test(description)) {
      return apiError(400, "description may have 50 letters, digits, hyphens and spaces");
    }
    const expirySeconds = body.expirySeconds || ninetyDays;
    const minted = await this.tailnet.createKey({ tags: wanted, reusable, ephemeral, expirySeconds });
    const id = `k${minted.id}CNTRL`;
    const capabilities = { reusable, ephemeral, preauthorized, ...(wanted.length > 0 ? { tags: wanted } : {}) };
    this.keys.set(id, { id, minted, description, expirySeconds, created: new Date(), capabilities });
    return { status: 200, body: { ...(await this.describe(id)), key: minted.key } };
  }

  async get(id: string): Promise<ApiAnswer> {
    return this.keys.has(id) ? { status: 200, body: await this.describe(id) } : notFound;
  }

  list(): ApiAnswer {
    return { status: 200, body: { keys: [...this.keys.keys()].map((id) => ({ id })) } };
  }

  /** A revoked key is still known, as invalid. */
  async revoke(id: string): Promise<ApiAnswer> {
    const key = this.keys.get(id);
    if (key === undefined || key.revoked) return notFound;
    await this.tailnet.admin.expireKey(this.tailnet.userId, key.minted.key);
    key.revoked = new Date();
    return { status: 200 };
  }

  /** Forgets a key, as the API does some time after its end. */
  forget(id: string): void {
    this.keys.delete(id);
  }

  private async describe(id: string): Promise<object> {
    const key = this.keys.get(id) as StoredKey;
    const now = (await this.tailnet.admin.keys(this.tailnet.userId)).find((one) => one.id === key.minted.id);
    const isUsedUp = !key.capabilities.reusable && now?.used === true;
    const expires = new Date(key.created.getTime() + key.expirySeconds * 1000);
    const isOver = now === undefined || Date.parse(now.expiration) <= Date.now();
    const isInvalid = key.revoked !== undefined || isUsedUp || isOver;
    return {
      id: key.id,
      keyType: "auth",
      expirySeconds: key.expirySeconds,
      created: timestamp(key.created),
      expires: timestamp(expires),
      ...(key.revoked ? { revoked: timestamp(key.revoked) } : {}),
      capabilities: { devices: { create: key.capabilities } },
      ...(key.description ? { description: key.description } : {}),
      ...(isInvalid ? { invalid: true } : {}),
      userId: "",
    };
  }
}

function timestamp(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
