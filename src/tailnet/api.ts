import { setTimeout as sleep } from "node:timers/promises";
import { type ApiFailure, refusal } from "./api-refusal.ts";
import type { ApiRequest } from "./api-request.ts";

/** How long a request may take and how often it is tried; times in milliseconds. */
export interface Patience {
  /** For one answer. */
  timeout: number;
  tries: number;
  /** Before the second try; it doubles with each further one. */
  firstPause: number;
  /** The longest pause, also where the API asks for a longer one. */
  longestPause: number;
}

/** @default 15 s for an answer, five tries with 15 s of pauses between them */
export const defaultPatience: Patience = { timeout: 15_000, tries: 5, firstPause: 1000, longestPause: 30_000 };

/**
 * Asks a tailnet's API, and again where it is overloaded, failing or out of reach: all that is asked here may be asked
 * twice.
 *
 * @returns the answer's JSON; undefined if it has no body, or for a DELETE of what is not there
 * @throws {UserError} with the reason and the remedy, and no secret
 * @example await askApi({ method: "GET", baseUrl, path: "/api/v1/node", secrets: [key], permission: "list nodes", headers })
 */
export async function askApi(request: ApiRequest, patience: Patience = defaultPatience): Promise<unknown> {
  let pause = patience.firstPause;
  for (let tries = 1; ; tries++) {
    const answer = await tryOnce(request, patience.timeout);
    if ("text" in answer) return parse(request, answer.text);
    const { failure, retryAfter } = answer;
    if (!isPassing(failure) || tries >= patience.tries) throw refusal(request, failure, tries);
    await sleep(Math.min(retryAfter ?? pause, patience.longestPause));
    pause *= 2;
  }
}

/** The answer's body, or why there is none and how long the API asks to wait, in milliseconds. */
type Answer = { text: string } | { failure: ApiFailure; retryAfter?: number | undefined };

async function tryOnce(request: ApiRequest, timeout: number): Promise<Answer> {
  const { method, baseUrl, path, headers = {}, body } = request;
  const limit = AbortSignal.timeout(timeout);
  try {
    const response = await fetch(baseUrl.replace(/\/+$/, "") + path, {
      method,
      headers: { Accept: "application/json", ...headers },
      signal: limit,
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (response.ok) return { text };
    const { status, statusText } = response;
    if (status === 404 && method === "DELETE") return { text: "" };
    const retryAfter = readRetryAfter(response.headers.get("retry-after"));
    return { failure: { status, message: messageIn(text) ?? statusText }, retryAfter };
  } catch (error) {
    return { failure: { message: limit.aborted ? `no answer within ${timeout / 1000} s` : causeOf(error) } };
  }
}

function isPassing({ status }: ApiFailure): boolean {
  return status === undefined || status === 429 || status >= 500;
}

/** Seconds or a date, as HTTP has it; in milliseconds from now. */
function readRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const pause = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(pause) ? undefined : Math.max(0, pause);
}

function parse(request: ApiRequest, text: string): unknown {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // What came is not shown: it may hold a key.
    throw refusal(request, { status: 200, message: "something that is no JSON" }, 1);
  }
}

/** Tailscale's and headscale's errors both have a `message`; headscale's refusal of a key is plain text. */
function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    return undefined;
  }
}

/** fetch itself only says "fetch failed"; why is in its cause. */
function causeOf(error: unknown): string {
  const { cause, message } = error as Error;
  const { code, message: text } = (cause ?? {}) as { code?: string; message?: string };
  return text || code || message;
}
