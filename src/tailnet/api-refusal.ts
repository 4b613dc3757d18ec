import { UserError } from "../core/errors.ts";
import type { ApiRequest } from "./api-request.ts";

/** Why a request came to nothing. */
export interface ApiFailure {
  /** The HTTP status; none if there was no answer. */
  status?: number;
  /** What the API says, or what went wrong on the way. */
  message: string;
}

interface Explanation {
  title: string;
  rule: string;
  remedy: string;
}

const again = "and run the same again: what is done stays done.";

/**
 * The error of a request that came to nothing: what was asked, what the API said and what to do.
 *
 * @param tries how often it was asked
 */
export function refusal(request: ApiRequest, { status, message }: ApiFailure, tries: number): UserError {
  const { title, rule, remedy } = explain(status, request.permission);
  const facts = [...(status === undefined ? [] : [String(status)]), ...(tries > 1 ? [`${tries} tries`] : [])];
  const said = facts.length > 0 ? `${message} (${facts.join(", ")})` : message;
  const issue = { path: request.baseUrl + request.path, rule: `${rule}, but says: ${said}`, remedy };
  const hide = (text: string) => withoutSecrets(text, request.secrets);
  return new UserError(title, [{ path: hide(issue.path), rule: hide(issue.rule), remedy }]);
}

function explain(status: number | undefined, permission: string): Explanation {
  switch (status) {
    case undefined:
      return {
        title: "The tailnet's API does not answer.",
        rule: "must answer",
        remedy: `Check the address and the network, ${again}`,
      };
    case 200:
      return {
        title: "The tailnet's address does not answer as its API.",
        rule: "must answer with JSON",
        remedy: "Check the address: it may be a web page's.",
      };
    case 401:
      return {
        title: "The tailnet's API does not take the credentials.",
        rule: "must take the API key or the OAuth client",
        remedy:
          "It may have expired or been revoked. Make a new one, put it in the place of the old one, and run the same again.",
      };
    case 403:
      return {
        title: "The tailnet's API does not allow this.",
        rule: `must allow to ${permission}`,
        remedy: `Give the API key's user or the OAuth client the permission to ${permission}, ${again}`,
      };
    case 429:
      return {
        title: "The tailnet's API asks to slow down.",
        rule: "must take the request",
        remedy: `Wait a few minutes ${again}`,
      };
    default:
      if (status >= 500) {
        return {
          title: "The tailnet's API fails.",
          rule: "must take the request",
          remedy: `Wait until it is well ${again}`,
        };
      }
      return {
        title: "The tailnet's API refuses the request.",
        rule: "must take the request",
        remedy: "Change what its message names, and run the same again.",
      };
  }
}

/** Who repeats a secret may do so without the blanks around it, as fetch does. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  const words = secrets.map((secret) => secret.trim()).filter(Boolean);
  return words.reduce((shown, secret) => shown.replaceAll(secret, "[secret]"), text);
}
