import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Properties } from "../../../toolchain/command/values.ts";
import { TailscaleClient } from "../../../toolchain/tailscale/client.ts";
import { getDevice, getDevices } from "../../../toolchain/tailscale/devices.ts";
import { parseDuration, rfc3339 } from "../../../toolchain/tailscale/times.ts";
import { HttpServer } from "../tailnet/http-server.ts";

let server: HttpServer;
let client: TailscaleClient;
beforeAll(async () => {
  server = await HttpServer.start();
  const credentials = { kind: "apiKey", apiKey: "k" } as const;
  client = new TailscaleClient({ baseUrl: server.url, tailnet: "-", userAgent: "test", credentials });
});
beforeEach(() => server.reset());
afterAll(() => server.close());

const device = {
  addresses: ["100.64.0.1"],
  id: "1",
  nodeId: "n1CNTRL",
  user: "",
  name: "project-web.example.ts.net",
  hostname: "project-web",
  authorized: true,
  created: "2026-01-02T03:04:05.5Z",
  expires: "",
  tags: ["tag:vm"],
  nodeKey: "nodekey:1",
};
const described = {
  ...device,
  created: "2026-01-02T03:04:05Z",
  expires: "0001-01-01T00:00:00Z",
  lastSeen: "",
  blocksIncomingConnections: false,
  isExternal: false,
  keyExpiryDisabled: false,
  updateAvailable: false,
  clientVersion: "",
  machineKey: "",
  os: "",
  tailnetLockError: "",
  tailnetLockKey: "",
};

describe("getDevice", () => {
  test.each<[Properties, string]>([
    [{ hostname: "project-web" }, "hostname=project-web"],
    [{ name: "project-web.example.ts.net" }, "name=project-web.example.ts.net"],
  ])("by %j", async (args, query) => {
    server.answers({ body: { devices: [device] } });
    expect(await getDevice(client, args)).toEqual({ result: described });
    expect(server.requests[0]?.path).toBe(`/api/v2/tailnet/-/devices?${query}`);
  });

  test("that is not there", async () => {
    server.answers({ body: { devices: [] } });
    await expect(getDevice(client, { hostname: "x" })).rejects.toThrow(
      new Error('Failed to fetch devices: could not find device with hostname="x"'),
    );
  });

  test("waits for it", async () => {
    server.answers({ body: { devices: [] } }, { status: 500, body: { message: "m" } }, { body: { devices: [device] } });
    const args = { hostname: "project-web", waitFor: "2s" };
    expect(await getDevice(client, args, 10)).toEqual({ result: { ...described, waitFor: "2s" } });
    expect(server.requests).toHaveLength(3);
  });

  test("does not wait for ever", async () => {
    server.answers({ body: { devices: [] } });
    const args = { hostname: "x", waitFor: "1.1s" };
    await expect(getDevice(client, args, 400)).rejects.toThrow(
      'Failed to fetch devices: failed after maximum of retries within 1.1s: could not find device with hostname="x"',
    );
  });

  test.each<[Properties, string, string]>([
    [{}, "name", "Exactly one of these attributes must be configured: [name,hostname]"],
    [{ name: "a", hostname: "b" }, "name", "Exactly one of these attributes must be configured: [name,hostname]"],
    [{ name: "a", waitFor: "1s" }, "waitFor", "wait_for must be greater than 1 second"],
    [{ name: "a", waitFor: "soon" }, "waitFor", "not a duration"],
    [{ name: "a", nodeId: "b" }, "nodeId", "An argument of this name is not expected"],
  ])("refuses %j", async (args, property, reason) => {
    const { failures } = await getDevice(client, args);
    expect(failures).toEqual([{ property, reason: expect.stringContaining(reason) }]);
    expect(server.requests).toEqual([]);
  });
});

describe("getDevices", () => {
  test("all of them", async () => {
    server.answers({ body: { devices: [device] } });
    const { result } = await getDevices(client, {});
    expect(result).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), devices: [described] });
    expect(server.requests[0]?.path).toBe("/api/v2/tailnet/-/devices");
  });

  test("the filters are the API's, the beginning of the name is not", async () => {
    server.answers({ body: { devices: [device, { ...device, name: "other.example.ts.net" }] } });
    const filters = [{ name: "tags", values: ["tag:vm", "tag:x"] }];
    const { result } = await getDevices(client, { filters, namePrefix: "project-" });
    expect(result).toMatchObject({ filters, namePrefix: "project-", devices: [{ name: device.name }] });
    expect(server.requests[0]?.path).toBe("/api/v2/tailnet/-/devices?tags=tag%3Avm&tags=tag%3Ax");
  });

  test("a mistake and an error", async () => {
    expect(await getDevices(client, { filters: [{ name: "tags" }] })).toMatchObject({
      failures: [{ property: "filters" }],
    });
    server.answers({ status: 401, body: { message: "API token invalid" } });
    await expect(getDevices(client, {})).rejects.toThrow(new Error("Failed to fetch devices: API token invalid (401)"));
  });
});

test.each<[string, number | undefined]>([
  ["60s", 60_000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["250ms", 250],
  ["10", undefined],
  ["", undefined],
  ["-1s", undefined],
  ["5 s", undefined],
])("duration %j is %s ms", (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

test.each<[unknown, string]>([
  ["2026-01-02T03:04:05.678+01:00", "2026-01-02T02:04:05Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
  ["", "0001-01-01T00:00:00Z"],
  [undefined, "0001-01-01T00:00:00Z"],
])("time %j is %s", (time, expected) => {
  expect(rfc3339(time)).toBe(expected);
});
