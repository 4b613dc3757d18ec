import { type ApiAnswer, apiError, notFound } from "./api-answers.ts";
import type { ApiCredentials, Caller } from "./api-credentials.ts";
import type { ApiDevices } from "./api-devices.ts";
import type { ApiKeys } from "./api-keys.ts";

/** A request that has been let in. */
interface Call {
  caller: Caller;
  id: string;
  query: URLSearchParams;
  body: string;
}

interface Route {
  method: string;
  /** With a tailnet in it, and an id where there is one. */
  path: RegExp;
  /** What the caller must be allowed to. */
  scope: string;
  answer: (call: Call) => ApiAnswer | Promise<ApiAnswer>;
}

const keysPath = /^\/api\/v2\/tailnet\/(?<tailnet>[^/]+)\/keys$/;
const keyPath = /^\/api\/v2\/tailnet\/(?<tailnet>[^/]+)\/keys\/(?<id>[^/]+)$/;
const devicesPath = /^\/api\/v2\/tailnet\/(?<tailnet>[^/]+)\/devices$/;
const devicePath = /^\/api\/v2\/device\/(?<id>[^/]+)$/;

/** Which request is answered by what, by the published paths. */
export class ApiRoutes {
  private readonly credentials: ApiCredentials;
  private readonly tailnets: readonly string[];
  private readonly routes: Route[];

  /** @param tailnets the names that the tailnet has in paths */
  constructor(credentials: ApiCredentials, keys: ApiKeys, devices: ApiDevices, tailnets: readonly string[]) {
    this.credentials = credentials;
    this.tailnets = tailnets;
    this.routes = [
      { method: "GET", path: keysPath, scope: "auth_keys", answer: () => keys.list() },
      {
        method: "POST",
        path: keysPath,
        scope: "auth_keys",
        answer: ({ body, caller }) => createKey(keys, body, caller),
      },
      { method: "GET", path: keyPath, scope: "auth_keys", answer: ({ id }) => keys.get(id) },
      { method: "DELETE", path: keyPath, scope: "auth_keys", answer: ({ id }) => keys.revoke(id) },
      { method: "GET", path: devicesPath, scope: "devices:core", answer: ({ query }) => devices.list(query) },
      { method: "GET", path: devicePath, scope: "devices:core", answer: ({ id }) => devices.get(id) },
      { method: "DELETE", path: devicePath, scope: "devices:core", answer: ({ id }) => devices.delete(id) },
    ];
  }

  async answer(method: string, url: URL, authorization: string | undefined, body: string): Promise<ApiAnswer> {
    const { pathname, searchParams: query } = url;
    if (`${method} ${pathname}` === "POST /api/v2/oauth/token") return this.credentials.token(authorization, body);
    const fitting = this.routes.filter(({ path }) => path.test(pathname));
    const route = fitting.find((one) => one.method === method);
    if (route === undefined) return fitting.length > 0 ? apiError(405, "method not allowed") : notFound;
    const { tailnet = "-", id = "" } = route.path.exec(pathname)?.groups ?? {};
    if (!this.tailnets.includes(decodeURIComponent(tailnet))) return notFound;
    return this.credentials.guard(authorization, route.scope, (caller) =>
      route.answer({ caller, id: decodeURIComponent(id), query, body }),
    );
  }
}

function createKey(keys: ApiKeys, body: string, caller: Caller): ApiAnswer | Promise<ApiAnswer> {
  const wish = JSON.parse(body);
  // Nobody owns a key that a client makes: its devices must belong to a tag.
  if (caller === "client" && !wish.capabilities?.devices?.create?.tags?.length) {
    return apiError(400, "tailnet-owned auth key must have tags set");
  }
  return keys.create(wish);
}
