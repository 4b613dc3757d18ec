import { type ApiAnswer, apiError, notPermitted, tokenInvalid } from "./api-answers.ts";

/** What goes wrong. */
export type FaultKind =
  /** 401: the credentials are refused. */
  | "unauthorized"
  /** 403: the credentials lack a permission. */
  | "forbidden"
  /** 429 with Retry-After. */
  | "rate-limited"
  /** 500. */
  | "failing"
  /** No answer at all. */
  | "hanging";

/** A fault to inject. */
export interface Fault {
  kind: FaultKind;
  /**
   * Only for requests that begin with this: "POST /api/v2/tailnet".
   * @default all
   */
  on?: string;
  /**
   * How many requests are hit; then all is well again.
   * @default all
   */
  times?: number;
  /**
   * What Retry-After says, in seconds.
   * @default 1
   */
  retryAfter?: number;
}

/** The faults of a server, and how often each is still to happen. */
export class Faults {
  private pending: (Fault & { left: number })[] = [];

  add(fault: Fault): void {
    this.pending.push({ ...fault, left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.pending = [];
  }

  /** What happens to a request instead of its answer; undefined if nothing does. */
  strike(request: string): ApiAnswer | "hang" | undefined {
    const fault = this.pending.find(({ on = "", left }) => left > 0 && request.startsWith(on));
    if (fault === undefined) return undefined;
    fault.left -= 1;
    return answerOf(fault);
  }
}

function answerOf({ kind, retryAfter = 1 }: Fault): ApiAnswer | "hang" {
  switch (kind) {
    case "unauthorized":
      return tokenInvalid;
    case "forbidden":
      return notPermitted;
    case "rate-limited":
      return { ...apiError(429, "rate limit exceeded"), headers: { "Retry-After": String(retryAfter) } };
    case "failing":
      return apiError(500, "internal server error");
    case "hanging":
      return "hang";
    default:
      return kind satisfies never;
  }
}
