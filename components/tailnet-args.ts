import * as pulumi from "@pulumi/pulumi";
import { configMistakes, formatPath, UserError } from "../config/errors.ts";
import { domainName, hostName } from "../config/names.ts";
import type { TailnetSettings } from "../config/settings.ts";
import { tailnetIssues } from "../config/tailnet.ts";
import type { DomainFound, Inventory } from "../host/inventory.ts";
import { type ApiConfig, accessOf, apiConfigOf, withEnvironment } from "../tailnet/access.ts";
import { tailnetDevices } from "../tailnet/devices.ts";
import { readKeyFile } from "../tailnet/key-file.ts";
import { briefly, lostVms } from "../tailnet/lost.ts";
import type { TailnetArgs } from "./vm-host.ts";

type Access = ReturnType<typeof accessOf>;

/** A stack's tailnet, and its host as it is to be taken: without the marks of VMs that are no longer in it. */
export interface TailnetLook {
  args: TailnetArgs;
  inventory: Inventory;
}

/**
 * A stack's tailnet with its credentials, from the config and the environment, after a look at which VMs are still in it.
 *
 * @throws UserError when they do not go together, are missing, or the key's file cannot be used
 */
export async function lookAtTailnet(
  settings: TailnetSettings,
  projects: string[],
  { inventory: found, file }: { inventory: Inventory; file: string },
): Promise<TailnetLook> {
  const configured = apiConfigOf(pulumi.runtime.allConfig());
  const api = withEnvironment(configured, process.env);
  requireCredentials(settings, configured, api, file);
  const inventory = await withoutLostVms(found, projects, settings, accessOf(settings, api));
  const place = formatPath(file, ["tailnet", "keyFile"]);
  const needsKey = projects.some((name) => !hasJoined(inventory, name));
  // Only to refuse what cannot be used before anything is changed: the program that has a VM join reads it for itself.
  if (settings.keyFile && needsKey) readKeyFile(settings.keyFile, place);
  const apiStack = Object.keys(configured).length > 0 ? fullStackName() : undefined;
  return { args: { ...settings, apiStack }, inventory };
}

/** The stack as `--stack` takes it; backends without organizations call theirs so. */
function fullStackName(): string {
  const organization = pulumi.getOrganization();
  const stack = pulumi.getStack();
  return organization === "organization" ? stack : `${organization}/${pulumi.getProject()}/${stack}`;
}

function requireCredentials(settings: TailnetSettings, configured: ApiConfig, api: ApiConfig, file: string): void {
  const isIn = ({ apiKey, oauthClientSecret }: ApiConfig) => Boolean(apiKey || oauthClientSecret);
  const given = {
    tailscaleConfig: isIn(configured),
    tailscaleEnvironment: isIn(api),
    headscale: Boolean(api.headscaleApiKey),
  };
  const issues = tailnetIssues(settings, given, file);
  if (issues.length > 0) throw configMistakes(file, issues);
}

/**
 * A VM whose device somebody has removed from the tailnet has joined none, whatever its domain says. Without an API nobody can
 * know; an API that does not answer is told of and holds nothing up.
 */
async function withoutLostVms(
  inventory: Inventory,
  projects: string[],
  { tag, keyFile }: TailnetSettings,
  access: Access,
): Promise<Inventory> {
  if (!access || keyFile) return inventory;
  const joined = projects.flatMap((name) => {
    const device = domainOf(inventory, name)?.marks.tailnet;
    return device ? [{ name, hostname: hostName(name), tag, ...device }] : [];
  });
  try {
    const lost = await lostVms(tailnetDevices(access, briefly), joined);
    for (const { name, hostname } of lost)
      pulumi.log.info(`${name}: its device ${hostname} is no longer in the tailnet`);
    return withoutMarks(
      inventory,
      lost.map(({ name }) => domainName(name)),
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    pulumi.log.warn(`whether all VMs are still in the tailnet is not known. ${error.message}`);
    return inventory;
  }
}

function withoutMarks(inventory: Inventory, domains: string[]): Inventory {
  const unmarked = (domain: DomainFound): DomainFound => {
    const { tailnet: _, ...marks } = domain.marks;
    return { ...domain, marks };
  };
  const isOne = ({ name }: DomainFound) => domains.includes(name);
  return { ...inventory, domains: inventory.domains.map((domain) => (isOne(domain) ? unmarked(domain) : domain)) };
}

const domainOf = ({ domains }: Inventory, project: string) => domains.find(({ name }) => name === domainName(project));

const hasJoined = (inventory: Inventory, project: string) => domainOf(inventory, project)?.marks.tailnet !== undefined;
