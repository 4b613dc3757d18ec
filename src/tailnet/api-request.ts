/** One request to a tailnet's API. */
export interface ApiRequest {
  method: "GET" | "POST" | "DELETE";
  /** The address without the path. */
  baseUrl: string;
  /** From the slash on, with the query; it is shown in errors. */
  path: string;
  /** Credentials go in here, or in the body, and nowhere else. */
  headers?: Record<string, string>;
  body?: string;
  /** What no message may show, wherever it comes from. */
  secrets: readonly string[];
  /** What the credentials must be allowed to do, for the remedy of a refusal: "delete devices (scope devices:core)". */
  permission: string;
}
