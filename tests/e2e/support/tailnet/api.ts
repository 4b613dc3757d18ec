import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ApiAnswer, apiError } from "./api-answers.ts";
import { ApiCredentials, type OAuthClient } from "./api-credentials.ts";
import { ApiDevices } from "./api-devices.ts";
import { type Fault, Faults } from "./api-faults.ts";
import { ApiKeys } from "./api-keys.ts";
import { ApiRoutes } from "./api-routes.ts";
import { Door } from "./door.ts";
import type { Tailnet } from "./tailnet.ts";

/** A request that the server got, and what became of it. */
export interface RecordedRequest {
  method: string;
  /** With the query. */
  path: string;
  authorization: string | undefined;
  body: string;
  /** Of the answer; 0 if there is none, or none yet. */
  status: number;
}

/** What a {@link TailscaleApi} is made from. */
export interface TailscaleApiOptions {
  /** API keys that it takes. */
  apiKeys?: string[];
  oauthClients?: OAuthClient[];
  /**
   * The tags that callers may give to keys.
   * @default ["tag:project-vm", "tag:client"]
   */
  ownedTags?: string[];
}

/**
 * The part of the published Tailscale API that the Tailscale provider and this project use, over a real tailnet: paths,
 * bodies, status codes and errors are the published ones, keys and devices are headscale's. It listens on this machine's
 * loopback interface.
 *
 * Published at https://tailscale.com/api
 *
 * @example
 * const api = await TailscaleApi.start(tailnet, { apiKeys: ["tskey-api-test"] });
 * api.inject({ kind: "rate-limited", on: "POST", times: 1 });
 */
export class TailscaleApi {
  readonly requests: RecordedRequest[] = [];
  readonly keys: ApiKeys;
  private readonly faults = new Faults();
  private readonly routes: ApiRoutes;
  private readonly server: Server;
  private readonly doors: Door[] = [];

  private constructor(tailnet: Tailnet, options: TailscaleApiOptions) {
    this.keys = new ApiKeys(tailnet, options.ownedTags ?? ["tag:project-vm", "tag:client"]);
    const credentials = new ApiCredentials(options.apiKeys ?? [], options.oauthClients ?? []);
    this.routes = new ApiRoutes(credentials, this.keys, new ApiDevices(tailnet), ["-", tailnet.domain]);
    this.server = createServer((request, response) => void this.serve(request, response));
  }

  static async start(tailnet: Tailnet, options: TailscaleApiOptions): Promise<TailscaleApi> {
    const api = new TailscaleApi(tailnet, options);
    await new Promise<void>((resolve) => api.server.listen(0, "127.0.0.1", resolve));
    return api;
  }

  /** Its address, for the provider's `baseUrl`. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Has it reached inside the tailnet's network namespace too, at the same address. */
  async openDoor({ netns, dir }: Tailnet): Promise<void> {
    const { port } = this.server.address() as AddressInfo;
    this.doors.push(await Door.open(this.server, port, netns, dir));
  }

  /** Lets something go wrong from the next request on. */
  inject(fault: Fault): void {
    this.faults.add(fault);
  }

  /** Makes all well again, and forgets what was asked. */
  reset(): void {
    this.faults.clear();
    this.requests.length = 0;
  }

  async close(): Promise<void> {
    for (const door of this.doors) await door.close();
    this.server.closeAllConnections();
    this.server.close();
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    const body = Buffer.concat(chunks).toString("utf8");
    const record = { method, path: url, authorization: headers.authorization, body, status: 0 };
    this.requests.push(record);
    const answer = this.faults.strike(`${method} ${url}`) ?? (await this.answer(record));
    if (answer === "hang") return;
    record.status = answer.status;
    response.writeHead(answer.status, { "Content-Type": "application/json", ...answer.headers });
    response.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
  }

  private answer({ method, path, authorization, body }: RecordedRequest): Promise<ApiAnswer> {
    return this.routes
      .answer(method, new URL(path, this.url), authorization, body)
      .catch((error: Error) => apiError(500, error.message));
  }
}
