import { type ApiAnswer, notFound } from "./api-answers.ts";
import type { Node } from "./headscale-admin.ts";
import type { Tailnet } from "./tailnet.ts";

/** What the API answers where there is no time. */
const noTime = "0001-01-01T00:00:00Z";

/** The devices of the API: headscale's nodes. */
export class ApiDevices {
  private readonly tailnet: Tailnet;

  constructor(tailnet: Tailnet) {
    this.tailnet = tailnet;
  }

  /** @param filters of the query: a device must have one of the values for each name */
  async list(filters: URLSearchParams): Promise<ApiAnswer> {
    const devices = (await this.tailnet.admin.nodes()).map((node) => this.describe(node));
    const names = [...new Set(filters.keys())].filter((name) => name !== "fields");
    const fits = (device: Record<string, unknown>) =>
      names.every((name) => filters.getAll(name).some((value) => [device[name]].flat().map(String).includes(value)));
    return { status: 200, body: { devices: devices.filter(fits) } };
  }

  /** @param id the device's `nodeId` or its legacy `id` */
  async get(id: string): Promise<ApiAnswer> {
    const node = await this.find(id);
    return node ? { status: 200, body: this.describe(node) } : notFound;
  }

  async delete(id: string): Promise<ApiAnswer> {
    const node = await this.find(id);
    if (node === undefined) return notFound;
    await this.tailnet.admin.deleteNode(node.id);
    return { status: 200 };
  }

  private async find(id: string): Promise<Node | undefined> {
    return (await this.tailnet.admin.nodes()).find((node) => [legacyId(node), nodeId(node)].includes(id));
  }

  private describe(node: Node): Record<string, unknown> {
    const tags = [...new Set([...(node.forcedTags ?? []), ...(node.validTags ?? [])])];
    return {
      addresses: node.ipAddresses,
      id: legacyId(node),
      nodeId: nodeId(node),
      user: `${node.user.name}@${this.tailnet.domain}`,
      name: `${node.givenName}.${this.tailnet.domain}`,
      hostname: node.name,
      clientVersion: "",
      updateAvailable: false,
      os: "linux",
      created: node.createdAt,
      connectedToControl: node.online === true,
      ...(node.online ? {} : { lastSeen: node.lastSeen ?? noTime }),
      keyExpiryDisabled: tags.length > 0,
      expires: node.expiry ?? noTime,
      authorized: true,
      isExternal: false,
      isEphemeral: node.preAuthKey?.ephemeral === true,
      machineKey: node.machineKey,
      nodeKey: node.nodeKey,
      blocksIncomingConnections: false,
      tailnetLockKey: "",
      tailnetLockError: "",
      ...(tags.length > 0 ? { tags } : {}),
    };
  }
}

function legacyId(node: Node): string {
  return `90000${node.id}`;
}

function nodeId(node: Node): string {
  return `n${node.id}CNTRL`;
}
