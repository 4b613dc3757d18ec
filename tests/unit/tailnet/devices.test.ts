import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { devicesOf, isInTailnet, removeVmDevice, tailnetDevices } from "../../../src/tailnet/devices.ts";
import { aNode } from "../guest/samples.ts";
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
  const key = (number: number) => aNode(number).nodeKey;
  const is = (number: number) => ({ id: aNode(`n${number}`).id, nodeKey: key(number) });
  const web = device(is(1));
  const ghost = device({ ...is(2), name: "project-web-1" });
  const ofHeadscale = device({ ...is(3), name: "project-web-x7k2m1ab" });
  const db = device({ ...is(4), name: "project-db", hostname: "project-db" });
  const untagged = device({ ...is(5), tags: [] });
  const otherTag = device({ ...is(6), tags: ["tag:other"], name: "project-web-2" });
  const laptop = device({ ...is(7), hostname: "laptop", tags: [] });
  const renamed = device({ ...is(8), name: "shop" });
  // The VM of another project, whose name is what this one's could become.
  const web1 = device({ ...is(9), name: "project-web-1", hostname: "project-web-1" });
  // Of another project too: its guest has renamed itself, before or after this VM came.
  const poser = device({ ...is(10), name: "project-web-3" });
  const away = device({ ...is(11), name: "project-web", hostname: "elsewhere" });

  test.each<[string, object, object[], object[], object[]]>([
    ["none", {}, [], [], []],
    ["by name and tag", {}, [web, db], [web], []],
    ["none of several, of which one may be another stack's VM's", {}, [web, ghost, db], [], [web, ghost]],
    ["none of several if the recorded one is gone", is(99), [ghost, ofHeadscale], [], [ghost, ofHeadscale]],
    ["none of two that are recorded, one by each", { id: is(1).id, nodeKey: key(2) }, [web, ghost], [], [web, ghost]],
    ["not without the tag", {}, [untagged, otherTag, db], [], [untagged, otherTag]],
    ["not one that was given its name", {}, [laptop, web], [web], [laptop]],
    ["the recorded one", { id: is(2).id }, [web, ghost], [ghost], [web]],
    ["the one with the recorded key", { nodeKey: key(2) }, [web, ghost], [ghost], [web]],
    ["by name and tag if the recorded one is gone", is(99), [web], [web], []],
    ["not an untagged one with the recorded key", { nodeKey: key(5) }, [untagged, db], [], [untagged]],
    ["not an untagged one with the recorded number", { id: is(5).id }, [untagged, db], [], [untagged]],
    ["not another project's, recorded by its number", { id: is(4).id }, [web, db], [web], [db]],
    ["not another project's, recorded by its key", { nodeKey: key(4) }, [db], [], [db]],
    ["not that of the project web-1", {}, [web, web1], [web], []],
    ["not that of the project web-1, recorded", is(9), [web1], [], [web1]],
    ["not a laptop, recorded", is(7), [laptop], [], [laptop]],
    ["not one that was renamed in the tailnet, which is told of", is(8), [renamed], [], [renamed]],
    ["not one that calls itself otherwise by now", is(11), [away], [], [away]],
    ["none where a guest calls itself so", {}, [web, poser], [], [web, poser]],
    ["not a guest's that calls itself so, where the VM's own is recorded", is(1), [web, poser], [web], [poser]],
  ])("%s", (_, record, all, own, foreign) => {
    expect(devicesOf(all as never[], { ...vm, ...record })).toEqual({ own, foreign });
  });

  test.each<[string, object, object[], boolean]>([
    ["its own", is(1), [web], true],
    ["none", is(1), [db], false],
    ["one that was renamed there", is(8), [renamed], true],
    ["an untagged one", is(5), [untagged], false],
    ["one of its name, where none is recorded", {}, [web], true],
    ["a guest's that calls itself so, where its own is gone", is(99), [poser], false],
  ])("a VM is in its tailnet by %s: %s", (_, record, all, expected) => {
    expect(isInTailnet(all as never[], { ...vm, ...record })).toBe(expected);
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
    body: {
      nodes: ids.map((id) => ({
        id,
        name: "project-web",
        givenName: "project-web",
        forcedTags: id === "1" ? ["tag:project-vm"] : [],
      })),
    },
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
