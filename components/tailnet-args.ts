import * as pulumi from "@pulumi/pulumi";
import { configMistakes, formatPath } from "../config/errors.ts";
import { domainName } from "../config/names.ts";
import type { TailnetSettings } from "../config/settings.ts";
import { tailnetIssues } from "../config/tailnet.ts";
import type { Inventory } from "../host/inventory.ts";
import { type ApiConfig, withEnvironment } from "../tailnet/access.ts";
import { readKeyFile } from "../tailnet/key-file.ts";
import type { TailnetArgs } from "./vm-host.ts";

/**
 * A stack's tailnet with its credentials, from the config and the environment.
 *
 * @throws UserError when they do not go together, are missing, or the key's file cannot be used
 */
export function tailnetArgs(
  settings: TailnetSettings,
  projects: string[],
  { inventory, file }: { inventory: Inventory; file: string },
): TailnetArgs {
  const configured = configuredApi(pulumi.runtime.allConfig());
  const api = withEnvironment(configured, process.env);
  const isIn = ({ apiKey, oauthClientSecret }: ApiConfig) => Boolean(apiKey || oauthClientSecret);
  const given = {
    tailscaleConfig: isIn(configured),
    tailscaleEnvironment: isIn(api),
    headscale: Boolean(api.headscaleApiKey),
  };
  const issues = tailnetIssues(settings, given, file);
  if (issues.length > 0) throw configMistakes(file, issues);
  const place = formatPath(file, ["tailnet", "keyFile"]);
  const needsKey = projects.some((name) => !hasJoined(inventory, name));
  const authKey = settings.keyFile && needsKey ? pulumi.secret(readKeyFile(settings.keyFile, place)) : undefined;
  const isConfigured = Object.keys(configured).length > 0;
  return { ...settings, authKey, api: isConfigured ? pulumi.secret(configured) : undefined };
}

function hasJoined({ domains }: Inventory, project: string): boolean {
  return domains.some(({ name, marks }) => name === domainName(project) && marks.tailnet !== undefined);
}

/** What of the API's credentials is in the config, as Pulumi hands it over: without what is not there. */
function configuredApi(all: Record<string, string>): ApiConfig {
  const keys = ["apiKey", "oauthClientId", "oauthClientSecret", "tailnet", "baseUrl"].map((key) => `tailscale:${key}`);
  const found = [...keys, "project-vms:headscaleApiKey"].filter((key) => all[key]);
  return Object.fromEntries(found.map((key) => [key.split(":")[1], all[key]]));
}
