import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { lookAtTailnet } from "../../../components/tailnet-args.ts";
import type { TailnetSettings } from "../../../src/config/settings.ts";
import { aDomain, anInventory } from "../found.ts";
import { aNode } from "../guest/samples.ts";
import { HttpServer } from "../tailnet/http-server.ts";

vi.mock("../../../src/guest/tailnet-join.ts", async (original) => ({
  ...(await original<object>()),
  isLoggedOut: ({ domain }: { domain: string }) => loggedOut(domain),
}));
const loggedOut = vi.fn<(domain: string) => Promise<boolean>>();

const inTailnet = (id: string) => ({ tailnet: aNode(id) });
const inventory = anInventory({
  domains: [
    aDomain({ name: "project-web", marks: { ...inTailnet("1"), definition: "d" } }),
    aDomain({ name: "project-db", marks: inTailnet("2") }),
    aDomain({ name: "project-new", marks: {} }),
    aDomain({ name: "project-theirs", marks: inTailnet("9") }),
  ],
});
const forcedTags = ["tag:project-vm"];
const node = (id: string, name: string) => ({ id, name, givenName: name, nodeKey: aNode(id).nodeKey, forcedTags });
const said: string[] = [];
let server: HttpServer;
let settings: TailnetSettings;

beforeAll(async () => {
  const none = { newResource: () => ({ id: "", state: {} }), call: () => ({}) };
  await pulumi.runtime.setMocks(none, "project-vms", "storage", false, "organization");
  server = await HttpServer.start();
});
afterAll(() => server.close());
beforeEach(() => {
  server.reset();
  said.length = 0;
  settings = {
    domain: "tailnet.test",
    tag: "tag:project-vm",
    server: server.url,
    headscale: { user: "vms" },
    reusable: false,
    keyExpiry: 3600,
  };
  pulumi.runtime.setAllConfig({ "project-vms:headscaleApiKey": "hs-hush" });
  const note = async (message: string) => void said.push(message);
  vi.spyOn(pulumi.log, "info").mockImplementation(note);
  vi.spyOn(pulumi.log, "warn").mockImplementation(note);
});
afterEach(() => vi.restoreAllMocks());

const look = (projects: string[]) => lookAtTailnet(settings, projects, { inventory, file: "Pulumi.storage.yaml" });

describe("the look at a tailnet", () => {
  test("takes a VM whose device is gone for one that has not joined, and says so", async () => {
    server.answer = () => ({ body: { nodes: [node("2", "project-db")] } });
    const { inventory: seen } = await look(["web", "db", "new"]);
    const domains = inventory.domains.map((domain) =>
      domain.name === "project-web" ? { ...domain, marks: { definition: "d" } } : domain,
    );
    expect(seen).toEqual({ ...inventory, domains });
    expect(said).toEqual(["web: its device project-web is no longer in the tailnet"]);
  });

  test("has a VM whose device has other tags join again, and says why", async () => {
    const tagged = { ...node("1", "project-web"), forcedTags: ["tag:old"] };
    server.answer = () => ({ body: { nodes: [tagged, node("2", "project-db")] } });
    const { inventory: seen } = await look(["web", "db"]);
    expect(seen.domains[0]?.marks).toEqual({ definition: "d" });
    expect(seen.domains[1]?.marks).toEqual(inTailnet("2"));
    expect(said).toEqual(["web: its device project-web lacks the tag tag:project-vm"]);
  });

  test("asks nothing where nobody has joined", async () => {
    expect((await look(["new"])).inventory).toEqual(inventory);
    expect(server.requests).toEqual([]);
  });

  test("holds nothing up when there is no answer, and shows no key", async () => {
    server.answer = () => ({ status: 500, body: { message: "down, hs-hush" } });
    expect((await look(["web", "db"])).inventory).toEqual(inventory);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^whether all VMs are still in the tailnet is not known\. The tailnet's API fails\.\n/);
    expect(said[0]).not.toContain("hush");
    expect(server.requests).toHaveLength(1);
  });

  describe("without an API", () => {
    let dir: string;
    beforeEach(() => {
      dir = mkdtempSync(path.join(tmpdir(), "key-"));
      writeFileSync(path.join(dir, "key"), "tskey-auth-hush\n", { mode: 0o600 });
      pulumi.runtime.setAllConfig({});
      const { server: _, headscale: __, ...own } = settings;
      settings = { ...own, keyFile: path.join(dir, "key") };
      loggedOut.mockReset();
    });
    afterEach(() => rmSync(dir, { recursive: true }));

    test("asks the guests that run, and takes one that is logged out for one that has not joined", async () => {
      loggedOut.mockImplementation(async (domain) => domain === "project-web");
      const { inventory: seen } = await look(["web", "db", "new"]);
      expect(loggedOut.mock.calls).toEqual([["project-web"], ["project-db"]]);
      expect(seen.domains.map(({ marks }) => marks.tailnet?.id)).toEqual([undefined, "2", undefined, "9"]);
      expect(said).toEqual(["web: it is logged out of the tailnet"]);
    });

    test("is not held up by a guest that does not say", async () => {
      loggedOut.mockRejectedValue(new Error("the guest agent is not connected"));
      expect((await look(["db"])).inventory).toEqual(inventory);
      expect(said).toEqual(["db: whether it is still in the tailnet is not known. the guest agent is not connected"]);
    });

    test("asks none that is off", async () => {
      const off = inventory.domains.map((domain) => ({ ...domain, state: "shut off" as const }));
      await lookAtTailnet(settings, ["web"], {
        inventory: { ...inventory, domains: off },
        file: "Pulumi.storage.yaml",
      });
      expect(loggedOut).not.toHaveBeenCalled();
    });
  });

  test("refuses a tailnet without credentials before it asks", async () => {
    pulumi.runtime.setAllConfig({});
    await expect(look(["web"])).rejects.toThrow(
      "Pulumi.storage.yaml: tailnet.headscale: needs an API key of that server",
    );
    expect(server.requests).toEqual([]);
  });
});
