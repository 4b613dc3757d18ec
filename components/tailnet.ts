import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import * as tailscale from "@pulumi/tailscale";
import type { TailnetJoin } from "../guest/tailnet.ts";
import { isToRun, type ProjectFound } from "../vm/plan.ts";
import type { Children, VmContext } from "./vm-children.ts";
import type { TailnetArgs } from "./vm-host.ts";

/** The longest description that the Tailscale API takes. */
const longestDescription = 50;

/** What of a key a program says; once a key is made, none of it is looked at again. */
const keyProperties = ["description", "ephemeral", "expiry", "preauthorized", "reusable", "tags", "recreateIfInvalid"];

/**
 * A VM's own key from the Tailscale API. Used or expired it is history: it shows no difference and makes nothing anew. A fresh one
 * is made only for a VM that is about to join: one without an identity in the tailnet, which its domain's marks tell.
 */
export function createTailnetKey(children: Children, { name, host, found }: VmContext, tailnet: TailnetArgs) {
  if (tailnet.keyFile || tailnet.headscale || tailnet.authKey !== undefined) return undefined;
  return children.create(
    "tailnetKey",
    tailscale.TailnetKey,
    {
      description: `project-vms ${host.owner} ${name}`.replaceAll(/[^\w -]/g, "-").slice(0, longestDescription),
      preauthorized: true,
      reusable: tailnet.reusable,
      expiry: tailnet.keyExpiry,
      tags: [tailnet.tag],
      recreateIfInvalid: "never",
    },
    {
      ignoreChanges: keyProperties,
      // Each update that finds a VM outside has a new key for it: the one before may have expired.
      ...(isAboutToJoin(found) ? { replacementTrigger: new Date().toISOString() } : {}),
    },
  );
}

/** Whether an update has a VM join its tailnet: one that is to run and, as far as is known, is not in it. */
const isAboutToJoin = ({ domain }: ProjectFound) => !domain?.marks.tailnet && (!domain || isToRun(domain));

/**
 * What has a VM that is there wait for readiness again although nothing else of it has changed: it is outside of the tailnet.
 * Its device was removed there, or it was off when the others joined.
 */
export function rejoinTrigger({ found, host }: VmContext): { replacementTrigger?: string } {
  return host.tailnet && found.domain && isAboutToJoin(found) ? { replacementTrigger: new Date().toISOString() } : {};
}

/** What a VM is told to join by, as JSON; a secret. */
export function joinRequest(
  tailnet: TailnetArgs,
  key: tailscale.TailnetKey | undefined,
  found: ProjectFound,
): pulumi.Output<string> {
  const { server, tag: tags, reusable, keyExpiry: expirySeconds, headscale } = tailnet;
  return pulumi.secret(
    pulumi.all([key?.key ?? tailnet.authKey ?? "", tailnet.api]).apply(([auth, api]) => {
      const apiKey = api?.headscaleApiKey ?? process.env.HEADSCALE_API_KEY ?? "";
      const request = { user: headscale?.user ?? "", tags: [tags], reusable, ephemeral: false, expirySeconds };
      const join: TailnetJoin = {
        server,
        anew: isAboutToJoin(found),
        key: headscale ? { headscale: { url: server ?? "", apiKey, request } } : { auth },
      };
      return JSON.stringify(join);
    }),
  );
}

/** Of a tailnet, what VMs have to join anew for when it changes. */
export function tailnetDigest({ domain, server, tag }: TailnetArgs): string {
  return createHash("sha256").update(JSON.stringify({ domain, server, tag })).digest("hex").slice(0, 16);
}
