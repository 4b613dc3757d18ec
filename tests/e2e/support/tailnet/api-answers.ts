/** An answer of the API. */
export interface ApiAnswer {
  status: number;
  /** As JSON; none for an empty body. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** The API's errors are objects with a message. Those that people have reported are worded as there. */
export function apiError(status: number, message: string): ApiAnswer {
  return { status, body: { message } };
}

/** For credentials that are none, revoked or expired. */
export const tokenInvalid = apiError(401, "API token invalid");

/**
 * For credentials that lack a scope: https://github.com/tailscale/github-action/issues/301
 */
export const notPermitted = apiError(403, "calling actor does not have enough permissions to perform this function");

/**
 * For tags that the caller does not own. It is a 400 and no 403:
 * https://github.com/tailscale/terraform-provider-tailscale/issues/247
 */
export function tagsNotOwned(tags: string[]): ApiAnswer {
  return apiError(400, `requested tags [${tags.join(" ")}] are invalid or not permitted`);
}

/** For what is not there. */
export const notFound = apiError(404, "not found");
