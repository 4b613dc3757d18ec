import type { TailnetSettings } from "../config/settings.ts";
import { UserError } from "../core/errors.ts";
import { type ApiConfig, accessOf } from "./access.ts";
import { readKeyFile } from "./key-file.ts";
import { type JoinKey, mintHeadscaleKey, mintTailscaleKey } from "./keys.ts";

/** What key a VM joins its tailnet with, and where it comes from. None of it is secret: the key itself is had at the last moment. */
export interface KeyWanted
  extends Pick<TailnetSettings, "tag" | "reusable" | "keyExpiry" | "keyFile" | "server" | "headscale"> {
  /** Whose it is, as the tailnet's list of keys shows it. */
  description: string;
}

/**
 * Reads a key, or makes one. It is had where it is used, in the program that lets a VM join, and so passes through no engine, whose
 * logs show what does, and no state.
 *
 * @param api the credentials, which a file with a key does without
 * @throws {UserError} when the key's file cannot be used, credentials are missing, or the API refuses; no message shows a key
 */
export async function takeJoinKey(wanted: KeyWanted, api: () => Promise<ApiConfig>): Promise<JoinKey> {
  const { keyFile, headscale, tag, reusable, keyExpiry: expirySeconds, description } = wanted;
  if (keyFile) return { key: readKeyFile(keyFile, "tailnet.keyFile"), revoke: async () => {} };
  const access = accessOf(wanted, await api());
  if (!access) throw noCredentials(wanted);
  const request = { tags: [tag], reusable, ephemeral: false, expirySeconds };
  return access.kind === "headscale"
    ? mintHeadscaleKey(access, { ...request, user: headscale?.user ?? "" })
    : mintTailscaleKey(access, { ...request, description });
}

function noCredentials({ headscale }: KeyWanted): UserError {
  const variables = headscale ? "HEADSCALE_API_KEY" : "TAILSCALE_API_KEY or TAILSCALE_OAUTH_CLIENT_SECRET";
  return new UserError("A key for the tailnet cannot be made.", [
    {
      path: "tailnet",
      rule: "needs credentials of its API where the update's commands run",
      remedy: `set them in the stack's config, or ${variables} in the environment of \`pulumi\``,
    },
  ]);
}
