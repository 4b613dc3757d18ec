import { UserError } from "../core/errors.ts";
import { defaultPatience, type Patience } from "./api.ts";
import { askHeadscale, type HeadscaleAccess } from "./headscale.ts";
import { type TailscaleAccess, TailscaleClient } from "./tailscale.ts";

/** What a key is to be like. */
interface KeyRequest {
  /** What nodes with this key get: `["tag:project-vm"]`. */
  tags: string[];
  /** Whether more than one node can join with it. */
  reusable: boolean;
  /** Whether a node that is away for a while is removed. */
  ephemeral: boolean;
  /** Seconds until it expires; headscale has no key without an end. */
  expirySeconds: number;
}

/** What a key of a headscale server is to be like. */
export interface HeadscaleKeyRequest extends KeyRequest {
  /** The headscale user that nodes with this key belong to; it must exist. */
  user: string;
}

/** What a key from the Tailscale API is to be like. */
export interface TailscaleKeyRequest extends KeyRequest {
  /** Shown on the tailnet's list of keys, where the API takes it: see {@link keyDescription}. */
  description: string;
}

/** A key that a node joins with, once it is made. */
export interface JoinKey {
  /** The key itself: a secret. */
  key: string;
  /** Makes it worthless; a node that has joined with it stays. */
  revoke(): Promise<void>;
}

/** Nobody waits long for what its end brings about too. */
const brief = (patience: Patience): Patience => ({
  ...patience,
  timeout: Math.min(patience.timeout, 5000),
  tries: Math.min(patience.tries, 2),
});

/** The longest description that the Tailscale API takes. */
const longestDescription = 50;

/** The description of a VM's key, in the characters and the length that the Tailscale API takes. */
export function keyDescription(owner: string, project: string): string {
  return `project-vms ${owner} ${project}`.replaceAll(/[^\w -]/g, "-").slice(0, longestDescription);
}

/**
 * Makes a key through the Tailscale API. Nodes that join with it need nobody's approval.
 *
 * @throws {UserError} if the API refuses, as for a tag that the credentials may not give
 */
export async function mintTailscaleKey(
  access: TailscaleAccess,
  { description, expirySeconds, reusable, ephemeral, tags }: TailscaleKeyRequest,
  patience: Patience = defaultPatience,
): Promise<JoinKey> {
  const client = new TailscaleClient(access, patience);
  const briefly = new TailscaleClient(access, brief(patience));
  const keys = `${client.tailnetPath}/keys`;
  const permission = "make keys (scope auth_keys)";
  const create = { reusable, ephemeral, preauthorized: true, tags };
  const body = { capabilities: { devices: { create } }, expirySeconds, description };
  const { id, key } = (await client.ask("POST", keys, permission, body)) as { id: string; key: string };
  return {
    key,
    revoke: async () => void (await briefly.ask("DELETE", `${keys}/${encodeURIComponent(id)}`, permission)),
  };
}

/**
 * Makes a key on a headscale server. Nodes that join with it need nobody's approval.
 *
 * @throws {UserError} if the user is not there, a tag is none, or the API refuses
 * @example await mintHeadscaleKey(access, { user: "vms", tags: ["tag:project-vm"], reusable: false, ephemeral: false, expirySeconds: 3600 })
 */
export async function mintHeadscaleKey(
  access: HeadscaleAccess,
  request: HeadscaleKeyRequest,
  patience: Patience = defaultPatience,
): Promise<JoinKey> {
  const user = await findUser(access, request.user, patience);
  const body = {
    user,
    reusable: request.reusable,
    ephemeral: request.ephemeral,
    // Without it headscale makes a key that has expired already.
    expiration: new Date(Date.now() + request.expirySeconds * 1000).toISOString(),
    aclTags: request.tags,
  };
  const answer = await askHeadscale(access, "POST", "/api/v1/preauthkey", body, patience);
  const { id, key } = (answer as { preAuthKey: { id?: string; key: string } }).preAuthKey;
  // Up to 0.27 the server goes by user and key, from 0.28 on by the id.
  const what = { ...(id === undefined ? {} : { id }), user, key };
  const revoke = () => askHeadscale(access, "POST", "/api/v1/preauthkey/expire", what, brief(patience));
  return { key, revoke: async () => void (await revoke()) };
}

async function findUser(access: HeadscaleAccess, name: string, patience?: Patience): Promise<string> {
  const path = `/api/v1/user?name=${encodeURIComponent(name)}`;
  const answer = await askHeadscale(access, "GET", path, undefined, patience);
  const user = (answer as { users?: { id: string; name: string }[] }).users?.find((found) => found.name === name);
  if (user) return user.id;
  throw new UserError("The headscale server does not have the user that the VMs are to belong to.", [
    { path: access.url, rule: "must have the user", value: name, remedy: `headscale users create ${name}` },
  ]);
}
