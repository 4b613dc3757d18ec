import * as pulumi from "@pulumi/pulumi";
import type { TailnetSettings } from "../src/config/settings.ts";
import { tailnetIssues } from "../src/config/tailnet-settings.ts";
import { configMistakes, formatPath, UserError } from "../src/core/errors.ts";
import { domainName, hostName } from "../src/core/names.ts";
import { recordLine } from "../src/core/records.ts";
import { GuestAgent } from "../src/guest/agent.ts";
import { AgentError } from "../src/guest/guest-refusal.ts";
import { inTime } from "../src/guest/in-time.ts";
import { isLoggedOut } from "../src/guest/tailnet-join.ts";
import type { DomainFound, Inventory } from "../src/libvirt/inventory.ts";
import { virshFor } from "../src/libvirt/virsh.ts";
import { type ApiConfig, accessOf, apiConfigOf, withEnvironment } from "../src/tailnet/access.ts";
import { tailnetDevices } from "../src/tailnet/devices.ts";
import { readKeyFile } from "../src/tailnet/key-file.ts";
import { briefly, lostVms } from "../src/tailnet/lost.ts";
import type { TailnetArgs } from "./vm-host-args.ts";

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
  const inventory = settings.keyFile
    ? await withoutLoggedOutVms(found, projects)
    : await withoutLostVms(found, projects, settings, accessOf(settings, api));
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
 * A VM whose device somebody has removed from the tailnet, or lacks the tag, has joined none, whatever its domain says.
 * An API that does not answer is told of and holds nothing up.
 */
async function withoutLostVms(
  inventory: Inventory,
  projects: string[],
  { tag }: TailnetSettings,
  access: Access,
): Promise<Inventory> {
  if (!access) return inventory;
  const joined = projects.flatMap((name) => {
    const device = domainOf(inventory, name)?.marks.tailnet;
    return device ? [{ name, hostname: hostName(name), tag, ...device }] : [];
  });
  try {
    const lost = await lostVms(tailnetDevices(access, briefly), joined);
    for (const { vm, lacks } of lost) {
      const why = lacks === "tag" ? `lacks the tag ${tag}` : "is no longer in the tailnet";
      pulumi.log.info(recordLine({ project: vm.name, kind: "noted", text: `its device ${vm.hostname} ${why}` }));
    }
    return withoutMarks(
      inventory,
      lost.map(({ vm }) => domainName(vm.name)),
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    pulumi.log.warn(`whether all VMs are still in the tailnet is not known. ${error.message}`);
    return inventory;
  }
}

/** Seconds for a guest to say whether it is logged in; they are asked side by side. */
const stateSeconds = 10;

/** Where keys come from a file there is no API: the guests that run are asked. One that does not answer holds nothing up. */
async function withoutLoggedOutVms(inventory: Inventory, projects: string[]): Promise<Inventory> {
  const joined = projects.filter((name) => {
    const domain = domainOf(inventory, name);
    return domain?.state === "running" && domain.marks.tailnet;
  });
  const lost = await Promise.all(joined.map((name) => isOut(inventory.uri, name)));
  return withoutMarks(inventory, joined.filter((_, i) => lost[i]).map(domainName));
}

async function isOut(uri: string, name: string): Promise<boolean> {
  try {
    const agent = new GuestAgent(virshFor(uri), domainName(name));
    const late = () => new AgentError(agent.domain, `no answer within ${stateSeconds} s`);
    const isOne = await inTime(isLoggedOut(agent, stateSeconds), stateSeconds, late);
    const text = "it is logged out of the tailnet";
    if (isOne) pulumi.log.info(recordLine({ project: name, kind: "noted", text }));
    return isOne;
  } catch (error) {
    pulumi.log.warn(`${name}: whether it is still in the tailnet is not known. ${(error as Error).message}`);
    return false;
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
