import { defaultPatience, type Patience } from "./api.ts";
import type { TailnetDevice, TailnetDevices } from "./device.ts";
import { type TailscaleAccess, TailscaleClient } from "./tailscale.ts";

/** A device as the API describes it, as far as it is used here. */
interface ApiDevice {
  id: string;
  nodeId?: string;
  name?: string;
  hostname?: string;
  tags?: string[];
  nodeKey?: string;
  addresses?: string[];
}

/** The devices of a tailnet of Tailscale's. */
export class TailscaleDevices implements TailnetDevices {
  private readonly client: TailscaleClient;

  constructor(access: TailscaleAccess, patience: Patience = defaultPatience) {
    this.client = new TailscaleClient(access, patience);
  }

  async list(): Promise<TailnetDevice[]> {
    const permission = "list devices (scope devices:core:read)";
    const answer = await this.client.ask("GET", `${this.client.tailnetPath}/devices`, permission);
    return ((answer as { devices?: ApiDevice[] } | undefined)?.devices ?? []).map(describe);
  }

  async remove(id: string): Promise<void> {
    await this.client.ask("DELETE", `/api/v2/device/${encodeURIComponent(id)}`, "delete devices (scope devices:core)");
  }
}

function describe(device: ApiDevice): TailnetDevice {
  return {
    id: device.nodeId ?? device.id,
    name: (device.name ?? "").split(".")[0] ?? "",
    hostname: device.hostname ?? "",
    tags: device.tags ?? [],
    nodeKey: device.nodeKey ?? "",
    addresses: device.addresses ?? [],
  };
}
