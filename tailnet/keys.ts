import { UserError } from "../config/errors.ts";
import type { Patience } from "./api.ts";
import { askHeadscale, type HeadscaleAccess } from "./headscale.ts";

/** What a key of a headscale server is to be like. */
export interface HeadscaleKeyRequest {
  /** The headscale user that nodes with this key belong to; it must exist. */
  user: string;
  /** What nodes with this key get: `["tag:project-vm"]`. */
  tags: string[];
  /** Whether more than one node can join with it. */
  reusable: boolean;
  /** Whether a node that is away for a while is removed. */
  ephemeral: boolean;
  /** Seconds until it expires; headscale has no key without an end. */
  expirySeconds: number;
}

/** A key that a node joins with, once it is made. */
export interface HeadscaleKey {
  id: string;
  /** The key itself: a secret. */
  key: string;
  /** When it expires, in RFC 3339. */
  expires: string;
}

interface PreAuthKey {
  id: string;
  key: string;
  expiration: string;
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
  patience?: Patience,
): Promise<HeadscaleKey> {
  const body = {
    user: await findUser(access, request.user, patience),
    reusable: request.reusable,
    ephemeral: request.ephemeral,
    // Without it headscale makes a key that has expired already.
    expiration: new Date(Date.now() + request.expirySeconds * 1000).toISOString(),
    aclTags: request.tags,
  };
  const answer = await askHeadscale(access, "POST", "/api/v1/preauthkey", body, patience);
  const { id, key, expiration } = (answer as { preAuthKey: PreAuthKey }).preAuthKey;
  return { id, key, expires: expiration };
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
