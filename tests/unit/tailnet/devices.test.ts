import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { devicesOf, removeVmDevice, tailnetDevices } from "../../../tailnet/devices.ts";
import { HttpServer } from "./http-server.ts";
import { device, impatient } from "./samples.ts";

let server: HttpServer;
beforeAll(async () => {
  server = await HttpServer.start();
});
beforeEach(() => server.reset());
afterAll(() => server.close());

const vm = { hostname: "project-web", tag: "tag:project-vm" };

describe("which devices are a VM's", () => {
  const web = device();
  const ghost = device({ id: "n2", name: "project-web-1", nodeKey: "nodekey:2" });
  const other = device({ id: "n3", name: "project-db", hostname: "project-db" });
  const untagged = device({ id: "n4", tags: [], nodeKey: "nodekey:4" });
  const otherTag = device({ id: "n5", tags: ["tag:other"], name: "project-web-2" });
  const renamed = device({ id: "n6", hostname: "laptop", tags: [] });

  test.each<[string, object, object[], object[], object[]]>([
    ["none", {}, [], [], []],
    ["by name and tag", {}, [web, other], [web], []],
    ["all that had its name", {}, [web, ghost, other], [web, ghost], []],
    ["not without the tag", {}, [untagged, otherTag, other], [], [untagged, otherTag]],
    ["not one that was given its name", {}, [renamed, web], [web], [renamed]],
    ["the recorded one", { id: "n2" }, [web, ghost], [ghost], [web]],
    ["the one with the recorded key", { nodeKey: "nodekey:2" }, [web, ghost], [ghost], [web]],
    ["the one with the recorded key, tag or not", { nodeKey: "nodekey:4" }, [untagged, other], [untagged], []],
    ["not one that has the recorded number but not the tag", { id: "n4" }, [untagged, other], [], [untagged]],
    ["the recorded one, whatever its name", { id: "n3" }, [web, other], [other], [web]],
    ["by name and tag if the recorded one is gone", { id: "n9", nodeKey: "nodekey:9" }, [web], [web], []],
  ])("%s", (_, record, all, own, foreign) => {
    expect(devicesOf(all as never[], { ...vm, ...record })).toEqual({ own, foreign });
  });
});

describe("Tailscale", () => {
  const access = (change: object = {}) => ({
    kind: "tailscale" as const,
    baseUrl: server.url,
    credentials: { apiKey: "tskey-api-hush" },
    ...change,
  });
  const listed = {
    addresses: ["100.64.0.1"],
    id: "501",
    nodeId: "n1",
    name: "project-web.example.ts.net",
    hostname: "project-web",
    tags: ["tag:project-vm"],
    nodeKey: "nodekey:1",
    user: "somebody",
  };

  test("lists and removes", async () => {
    server.answer = ({ method }) => ({ body: method === "GET" ? { devices: [listed] } : "" });
    const devices = tailnetDevices(access({ tailnet: "example.com" }), impatient);
    expect(await devices.list()).toEqual([device()]);
    await devices.remove("n1");
    expect(server.requests).toMatchObject([
      {
        method: "GET",
        path: "/api/v2/tailnet/example.com/devices",
        headers: { authorization: "Bearer tskey-api-hush" },
      },
      { method: "DELETE", path: "/api/v2/device/n1", headers: { authorization: "Bearer tskey-api-hush" } },
    ]);
  });

  test("a device without tags, and one without a new id", async () => {
    const { tags: _, nodeId: __, ...bare } = listed;
    server.answers({ body: { devices: [bare] } });
    expect(await tailnetDevices(access()).list()).toEqual([device({ id: "501", tags: [] })]);
    expect(server.requests[0]?.path).toBe("/api/v2/tailnet/-/devices");
  });

  test("an OAuth client gets one token and uses it", async () => {
    server.answer = ({ path }) => ({ body: path.endsWith("/token") ? { access_token: "tskey-api-token" } : {} });
    const credentials = { clientId: "id", clientSecret: "hush" };
    const devices = tailnetDevices(access({ credentials }), impatient);
    expect(await devices.list()).toEqual([]);
    await devices.remove("n1");
    expect(server.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ["/api/v2/oauth/token", undefined],
      ["/api/v2/tailnet/-/devices", "Bearer tskey-api-token"],
      ["/api/v2/device/n1", "Bearer tskey-api-token"],
    ]);
    expect(server.requests[0]?.body).toBe("grant_type=client_credentials&client_id=id&client_secret=hush");
  });

  test("what may not be done is named", async () => {
    server.answers({ status: 403, body: { message: "no" } });
    const devices = tailnetDevices(access(), impatient);
    await expect(devices.list()).rejects.toThrow("must allow to list devices (scope devices:core:read)");
    await expect(devices.remove("n1")).rejects.toThrow("must allow to delete devices (scope devices:core)");
  });
});

describe("headscale", () => {
  const node = {
    id: "1",
    name: "project-web",
    givenName: "project-web",
    nodeKey: "nodekey:1",
    ipAddresses: ["100.64.0.1"],
    forcedTags: ["tag:project-vm"],
    validTags: ["tag:project-vm"],
    preAuthKey: { key: "hush" },
  };

  test("lists and removes", async () => {
    server.answer = ({ method }) => ({ body: method === "GET" ? { nodes: [node] } : {} });
    const devices = tailnetDevices({ kind: "headscale", url: server.url, apiKey: "hush" }, impatient);
    expect(await devices.list()).toEqual([device({ id: "1" })]);
    await devices.remove("1");
    expect(server.requests).toMatchObject([
      { method: "GET", path: "/api/v1/node", headers: { authorization: "Bearer hush" } },
      { method: "DELETE", path: "/api/v1/node/1", headers: { authorization: "Bearer hush" } },
    ]);
  });
});

describe("removing a VM's device", () => {
  const devices = () => tailnetDevices({ kind: "headscale", url: server.url, apiKey: "hush" }, impatient);
  const nodes = (...ids: string[]) => ({
    body: { nodes: ids.map((id) => ({ id, name: "project-web", forcedTags: id === "1" ? ["tag:project-vm"] : [] })) },
  });

  test("takes it away, leaves another's of that name alone and tells of it", async () => {
    server.answers(nodes("1", "2"), { body: {} });
    const { removed, foreign } = await removeVmDevice(devices(), vm);
    expect([removed.map(({ id }) => id), foreign.map(({ id }) => id)]).toEqual([["1"], ["2"]]);
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /api/v1/node",
      "DELETE /api/v1/node/1",
    ]);
  });

  test("that is not there is no error, nor is one that goes at the same moment", async () => {
    server.answers({ body: { nodes: [] } });
    expect(await removeVmDevice(devices(), vm)).toEqual({ removed: [], foreign: [] });
    server.answers(nodes("1"), { status: 404, body: { code: 5, message: "node not found" } });
    expect((await removeVmDevice(devices(), vm)).removed).toHaveLength(1);
  });
});
