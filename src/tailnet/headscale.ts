import { askApi, defaultPatience, type Patience } from "./api.ts";
import type { ApiRequest } from "./api-request.ts";

/** How a headscale server's REST API is reached. */
export interface HeadscaleAccess {
  kind: "headscale";
  /** The address that nodes log in at too: `https://headscale.example.com`. */
  url: string;
  /** From `headscale apikeys create`. It may do everything: headscale has no lesser ones. */
  apiKey: string;
}

/**
 * Asks headscale's REST API.
 *
 * @param path from `/api/v1/` on
 * @param body for a POST
 * @throws {UserError} as {@link askApi} does
 */
export function askHeadscale(
  { url, apiKey }: HeadscaleAccess,
  method: ApiRequest["method"],
  path: string,
  body?: object,
  patience: Patience = defaultPatience,
): Promise<unknown> {
  const request: ApiRequest = {
    method,
    baseUrl: url,
    path,
    headers: { Authorization: `Bearer ${apiKey}`, ...(body ? { "Content-Type": "application/json" } : {}) },
    secrets: [apiKey],
    permission: "use the API",
    ...(body ? { body: JSON.stringify(body) } : {}),
  };
  return askApi(request, patience);
}
