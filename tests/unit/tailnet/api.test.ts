import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../src/core/errors.ts";
import { askApi } from "../../../src/tailnet/api.ts";
import type { ApiRequest } from "../../../src/tailnet/api-request.ts";
import { type Answer, HttpServer } from "./http-server.ts";
import { impatient } from "./samples.ts";

/** No pause is waited for: what counts is how long it would be. */
vi.mock("node:timers/promises", async (original) => ({
  ...(await original<typeof import("node:timers/promises")>()),
  setTimeout: vi.fn(async () => undefined),
}));

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
beforeEach(() => {
  server.reset();
  vi.mocked(sleep).mockClear();
});
afterAll(() => server.close());

const request = (change: Partial<ApiRequest> = {}): ApiRequest => ({
  method: "GET",
  baseUrl: server.url,
  path: "/things",
  secrets: ["hush"],
  permission: "list things (scope things)",
  ...change,
});
const ask = (change?: Partial<ApiRequest>) => askApi(request(change), impatient);
/** The error that a request ends with. */
const failure = (asked: Promise<unknown>) =>
  asked.then(
    () => expect.unreachable("no error"),
    (error: Error) => error,
  );
const failed = { status: 500, body: { message: "oops" } };

describe("an answer", () => {
  test("is JSON or nothing", async () => {
    server.answers({ body: { a: 1 } }, { body: "" });
    expect(await ask()).toEqual({ a: 1 });
    expect(await ask()).toBeUndefined();
  });

  test("to a DELETE may be that it is not there", async () => {
    server.answers({ status: 404, body: { message: "not found" } });
    expect(await ask({ method: "DELETE" })).toBeUndefined();
  });

  test("comes from the address, with or without a slash at its end", async () => {
    await ask({ baseUrl: `${server.url}/`, headers: { Authorization: "Bearer hush" } });
    expect(server.requests).toMatchObject([{ path: "/things", headers: { authorization: "Bearer hush" } }]);
  });
});

describe("what passes is tried again", () => {
  test.each<[string, Answer]>([
    ["an overload", { status: 429, body: {} }],
    ["a failure", failed],
    ["a proxy's failure", { status: 503, body: "<html>" }],
    ["silence", "hang"],
  ])("%s, twice", async (_, answer) => {
    server.answers(answer, answer, { body: { a: 1 } });
    expect(await ask()).toEqual({ a: 1 });
    expect(server.requests).toHaveLength(3);
  });

  test.each<[string, () => string, number]>([
    ["seconds", () => "1", impatient.longestPause],
    ["a date", () => new Date(Date.now() + 60_000).toUTCString(), impatient.longestPause],
    ["a date that is past", () => new Date(Date.now() - 5000).toUTCString(), 0],
    ["nonsense", () => "soon", impatient.firstPause],
  ])("after the pause that is asked for, %s, but not longer than the longest", async (_, header, pause) => {
    server.answers({ status: 429, headers: { "Retry-After": header() }, body: {} }, { body: {} });
    await ask();
    expect(vi.mocked(sleep).mock.calls).toEqual([[pause]]);
  });
});

describe("a refusal says why and what to do", () => {
  test.each<[string, Answer, string[], number]>([
    [
      "401",
      { status: 401, body: { message: "API token invalid" } },
      [
        "The tailnet's API does not take the credentials.",
        "/things: must take the API key or the OAuth client, but says: API token invalid (401)",
        "It may have expired or been revoked. Make a new one, put it in the place of the old one, and run the same again.",
      ],
      1,
    ],
    [
      "401 in plain text, as headscale says it",
      { status: 401, body: "Unauthorized" },
      ["The tailnet's API does not take the credentials.", "but says: Unauthorized (401)"],
      1,
    ],
    [
      "403",
      { status: 403, body: { message: "calling actor does not have enough permissions to perform this function" } },
      [
        "The tailnet's API does not allow this.",
        "must allow to list things (scope things), but says: calling actor does not have enough permissions",
        "Give the API key's user or the OAuth client the permission to list things (scope things), and run the same",
      ],
      1,
    ],
    [
      "429 for good",
      { status: 429, body: { message: "rate limited" } },
      ["The tailnet's API asks to slow down.", "must take the request, but says: rate limited (429, 3 tries)"],
      3,
    ],
    ["500 for good", failed, ["The tailnet's API fails.", "but says: oops (500, 3 tries)"], 3],
    [
      "400",
      { status: 400, body: { message: "tag must start with 'tag:'" } },
      ["The tailnet's API refuses the request.", "but says: tag must start with 'tag:' (400)"],
      1,
    ],
    [
      "silence",
      "hang",
      ["The tailnet's API does not answer.", "must answer, but says: no answer within 2 s (3 tries)"],
      3,
    ],
    [
      "a web page",
      { body: "<html>hush</html>" },
      ["The tailnet's address does not answer as its API.", "but says: something that is no JSON (200)"],
      1,
    ],
  ])("%s", async (_, answer, parts, tries) => {
    server.answers(answer);
    const error = await failure(ask());
    expect(error).toBeInstanceOf(UserError);
    for (const part of parts) expect(error.message).toContain(part);
    expect(error.message).not.toContain("hush");
    expect(server.requests).toHaveLength(tries);
  });

  test("nobody there", async () => {
    const error = await failure(ask({ baseUrl: "http://127.0.0.1:1" }));
    expect(error.message).toMatch(
      /^The tailnet's API does not answer\.\n {2}- http:\/\/127\.0\.0\.1:1\/things: must answer/,
    );
  });

  test("and never shows a secret, not even if the API does", async () => {
    server.answers({ status: 400, body: { message: "what is this hush you send?" } });
    await expect(ask()).rejects.toThrow("but says: what is this [secret] you send? (400)");
  });

  test("nor one that HTTP does not take, which fetch shows without the blanks around it", async () => {
    const { message } = await failure(
      ask({ secrets: ["hush\nnow \n"], headers: { Authorization: "Bearer hush\nnow \n" } }),
    );
    expect(message).toContain('"Bearer [secret]" is an invalid header value');
  });
});
