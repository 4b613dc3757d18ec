import { formatPath, InvalidValue, type Issue } from "../core/errors.ts";
import { intervalSeconds, parseEvery } from "./backup-settings.ts";
import type { TailnetSettings } from "./settings.ts";

/** A tag of a tailnet. Rules: https://tailscale.com/kb/1068/tags */
export function parseTag(value: unknown): string {
  if (typeof value === "string" && /^tag:[A-Za-z][A-Za-z0-9-]*$/.test(value)) return value;
  const name = typeof value === "string" && /^[A-Za-z][A-Za-z0-9-]*$/.test(value) ? value : "project-vm";
  throw new InvalidValue("must be `tag:` and a name of letters, digits and `-`", `write e.g. \`tag:${name}\``);
}

const domainExample = "write the tailnet's DNS name, e.g. `tail1234.ts.net`";

/** The MagicDNS domain of a tailnet. */
export function parseTailnetDomain(value: unknown): string {
  if (value === undefined) throw new InvalidValue("is missing", domainExample);
  if (typeof value !== "string") throw new InvalidValue("must be a domain", domainExample);
  if (URL.canParse(value) && value.includes("/")) {
    throw new InvalidValue("must be a domain, not a URL", `write \`${new URL(value).hostname}\``);
  }
  const label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
  if (new RegExp(`^${label}(\\.${label})+$`).test(value)) return value;
  throw new InvalidValue("must be a domain in lower case, without a dot at its end", domainExample);
}

/** The address of a control server, as its nodes log in to it. */
export function parseControlServer(value: unknown): string {
  const remedy = "write e.g. `https://headscale.example.com`";
  if (typeof value !== "string" || !URL.canParse(value)) throw new InvalidValue("must be a URL", remedy);
  const url = new URL(value);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new InvalidValue("must be https or http", remedy);
  if (url.username !== "" || url.password !== "") {
    throw new InvalidValue("must not hold a name or password (value not shown)", remedy, true);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new InvalidValue("must be a server, without a path", `write \`${url.origin}\``);
  }
  return url.origin;
}

/** A file with a key, by its absolute path on this machine. */
export function parseKeyFile(value: unknown): string {
  if (typeof value === "string" && value.startsWith("/") && !value.includes("\n")) return value;
  throw new InvalidValue("must be an absolute path", "write the file's path, e.g. `/run/secrets/tailscale`");
}

/** The name of a user of headscale. */
export function parseHeadscaleUser(value: unknown): string {
  const remedy = "write the name of one that `headscale users list` shows";
  if (value === undefined) throw new InvalidValue("is missing", remedy);
  if (typeof value === "string" && /^[^\s/]+$/.test(value)) return value;
  throw new InvalidValue("must be a name", remedy);
}

const longestExpiryDays = 90;

/** How long a key can be used, in seconds: from an hour to 90 days. */
export function parseKeyExpiry(value: unknown): number {
  const seconds = intervalSeconds(parseEvery(value));
  if (seconds <= longestExpiryDays * 86_400) return seconds;
  throw new InvalidValue(`must be at most ${longestExpiryDays}d`, `write \`${longestExpiryDays}d\` or less`);
}

/** A secret of the config; whatever stands there is never shown. */
export function parseSecret(value: unknown): string {
  if (typeof value === "string" && value.trim() !== "") return value;
  throw new InvalidValue("must be a secret text", "set it by `pulumi config set --secret`", true);
}

/** What is said of credentials, without what they are: which there are for the tailnet's API. */
export interface TailnetCredentialsGiven {
  /** In the config of the namespace `tailscale`. */
  tailscaleConfig: boolean;
  /** In the usual environment variables. */
  tailscaleEnvironment: boolean;
  headscale: boolean;
}

/** What does not go together in the settings of a tailnet, and credentials that are missing. */
export function tailnetIssues(tailnet: TailnetSettings, given: TailnetCredentialsGiven, file: string): Issue[] {
  const { keyFile, headscale, server } = tailnet;
  const place = (...path: string[]) => formatPath(file, ["tailnet", ...path]);
  const apis = [
    ...(headscale ? ["`tailnet.headscale`"] : []),
    ...(given.tailscaleConfig ? ["`tailscale:` credentials"] : []),
  ];
  if (keyFile && apis.length > 0) {
    const rule = `must be the only source of keys, but there is ${apis.join(" and ")} too`;
    return [{ path: place("keyFile"), rule, remedy: "remove one of them: a key comes from the file or from the API" }];
  }
  if (headscale && !server) {
    return [{ path: place("server"), rule: "is missing", remedy: "write the headscale server's URL" }];
  }
  if (headscale && !given.headscale) {
    const rule = "needs an API key of that server";
    const remedy = "`pulumi config set --secret headscaleApiKey`, or HEADSCALE_API_KEY in the environment";
    return [{ path: place("headscale"), rule, remedy }];
  }
  if (keyFile || headscale || given.tailscaleConfig || given.tailscaleEnvironment) return [];
  const rule = "needs credentials for the Tailscale API, or a key";
  const remedy =
    "`pulumi config set --secret tailscale:apiKey`, or TAILSCALE_API_KEY in the environment, or `keyFile`, or `headscale`";
  return [{ path: formatPath(file, ["tailnet"]), rule, remedy }];
}
