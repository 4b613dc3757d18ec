import { defaultPatience, type Patience } from "./api.ts";
import type { TailnetDevice, TailnetDevices } from "./device.ts";
import { askHeadscale, type HeadscaleAccess } from "./headscale.ts";

/** A node as headscale describes it, as far as it is used here. */
interface Node {
  id: string;
  /** The name that the machine gives itself. */
  name?: string;
  /** The name that the tailnet gives it. */
  givenName?: string;
  nodeKey?: string;
  ipAddresses?: string[];
  /** By the key that it joined with, or by hand. */
  forcedTags?: string[];
  /** That it asked for and may have. */
  validTags?: string[];
}

/** The devices of a headscale server: its nodes. */
export class HeadscaleDevices implements TailnetDevices {
  private readonly access: HeadscaleAccess;
  private readonly patience: Patience;

  constructor(access: HeadscaleAccess, patience: Patience = defaultPatience) {
    this.access = access;
    this.patience = patience;
  }

  async list(): Promise<TailnetDevice[]> {
    const answer = await askHeadscale(this.access, "GET", "/api/v1/node", undefined, this.patience);
    return ((answer as { nodes?: Node[] } | undefined)?.nodes ?? []).map(describe);
  }

  async remove(id: string): Promise<void> {
    await askHeadscale(this.access, "DELETE", `/api/v1/node/${encodeURIComponent(id)}`, undefined, this.patience);
  }
}

function describe(node: Node): TailnetDevice {
  return {
    id: node.id,
    name: node.givenName ?? "",
    hostname: node.name ?? "",
    tags: [...new Set([...(node.forcedTags ?? []), ...(node.validTags ?? [])])],
    nodeKey: node.nodeKey ?? "",
    addresses: node.ipAddresses ?? [],
  };
}
