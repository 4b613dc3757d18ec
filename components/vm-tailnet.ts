import { createHash } from "node:crypto";
import { type TailnetJoin, tailnetVariable } from "../src/guest/tailnet-join.ts";
import { isToRun, type ProjectFound } from "../src/lifecycle/plan.ts";
import { stackVariable } from "../src/tailnet/command.ts";
import { keyDescription } from "../src/tailnet/keys.ts";
import type { VmContext } from "./vm-context.ts";
import type { TailnetArgs } from "./vm-host-args.ts";

/** Whether an update has a VM join its tailnet: one that is to run and, as far as is known, is not in it. */
const isAboutToJoin = ({ domain }: ProjectFound) => !domain?.marks.tailnet && (!domain || isToRun(domain));

/**
 * Whether a VM that is there has to join a tailnet although nothing else of it has changed: it is outside of it. Its device was removed
 * there, or it was off when the others joined.
 */
export const isToJoin = ({ found, host }: VmContext) =>
  host.tailnet !== undefined && found.domain !== undefined && isAboutToJoin(found);

/**
 * What a VM's `ready` command is told of its tailnet, in its environment. No key is in it: that is read or made by the command
 * itself, for what passes through the engine stands in the engine's logs.
 */
export function tailnetEnvironment({ name, host, found }: VmContext): Record<string, string> {
  const { tailnet } = host;
  if (!tailnet) return {};
  const { server, domain, tag, reusable, keyExpiry, keyFile, headscale } = tailnet;
  const key = { server, tag, reusable, keyExpiry, keyFile, headscale, description: keyDescription(host.owner, name) };
  const join: TailnetJoin = { server, domain, anew: isAboutToJoin(found), key };
  return { [tailnetVariable]: JSON.stringify(join), ...apiEnvironment(tailnet) };
}

/** Where a command finds the API's credentials, if the environment is not all there is. */
export function apiEnvironment({ apiStack }: TailnetArgs): Record<string, string> {
  return apiStack === undefined ? {} : { [stackVariable]: apiStack };
}

/** Where the key is not in what a command is told. Commands of before had it there, and are replaced, so that no state keeps one. */
const keysAreOutside = 1;

/** Of a tailnet, what VMs must rejoin for when it changes. */
export function tailnetDigest({ domain, server, tag }: TailnetArgs): string {
  const parts = { domain, server, tag, keysAreOutside };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}
