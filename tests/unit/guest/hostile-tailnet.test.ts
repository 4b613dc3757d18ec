import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TailnetSettings } from "../../../src/config/settings.ts";
import { GuestAgent } from "../../../src/guest/agent.ts";
import { Guest } from "../../../src/guest/guest.ts";
import { isLoggedOut } from "../../../src/guest/tailnet-join.ts";
import { tailnetNamespace } from "../../../src/libvirt/libvirt-xml.ts";
import { tearDown } from "../../../src/lifecycle/teardown.ts";
import { FakeVirsh } from "../lifecycle/fake-virsh.ts";
import { HttpServer } from "../tailnet/http-server.ts";
import { device } from "../tailnet/samples.ts";
import { hostileTexts, hostileValues } from "./hostile-values.ts";
import { expectHarmlessText, HostileHost, ofAnyProgram, well } from "./hostile-world.ts";
import { aNode } from "./samples.ts";

/** What a guest, or the machine that it claims to be in its tailnet, says there after its first boot (hostile-answers.test.ts). */

describe.each(
  Object.entries({
    ...ofAnyProgram,
    "tailscale's status": (tailscale: unknown) => ({ tailscale }),
    "tailscaled's state": (state: unknown) => ({ tailscale: { BackendState: state } }),
    "why it does not say": (tailscale: unknown) => ({ tailscale, status: { exitcode: 1 } }),
  }),
)("when a VM is asked whether it is logged out, in the place of %s", (_, answers) => {
  test("no hostile value acts, and none makes it so", { timeout: 120_000 }, async () => {
    for (const [name, value] of Object.entries(hostileValues)) {
      await setImmediate();
      const agent = new GuestAgent(new HostileHost({ ...well(), ...answers(value) }), "project-app");
      const said = await isLoggedOut(agent, 1).catch((error: Error) => error);
      if (said instanceof Error) {
        expectHarmlessText(`app: whether it is still in the tailnet is not known. ${said.message}`, name);
        expect(said.message, name).toContain("project-app");
      } else expect(said, name).toBe(false);
    }
  });
});

describe.each(
  Object.entries({
    ...ofAnyProgram,
    "what it says of its leaving": (log: unknown) => ({ log }),
    "why it does not": (data: unknown) => ({ log: data, status: { exitcode: 1 } }),
  }),
)("when a VM leaves its tailnet, in the place of %s", (_, answers) => {
  test("no hostile value acts", { timeout: 120_000 }, async () => {
    for (const [name, value] of Object.entries(hostileValues)) {
      await setImmediate();
      const guest = new Guest(new HostileHost({ ...well(), ...answers(value) }), "app");
      const said = await guest.leaveTailnet();
      expectHarmlessText(said, name);
      expect(said, name).toMatch(/^project-app: (left|did not leave) its tailnet/);
    }
  });
});

describe("when a VM's device is removed, in the place of", () => {
  let server: HttpServer;
  beforeAll(async () => {
    server = await HttpServer.start();
  });
  afterAll(() => server.close());

  /** What is printed of a tailnet in which a machine describes itself so; nothing there may be removed. */
  async function tornDownBeside(machine: object): Promise<string> {
    const ofApi = { nodeId: "n7", ...device(machine), id: "7" };
    server.reset();
    server.answer = () => ({ body: { devices: [ofApi] } });
    const said: string[] = [];
    const tailnet = { tag: "tag:project-vm" } as TailnetSettings;
    const teardown = { uri: "fake", project: "web", owner: "storage", keepData: true, tailnet };
    const api = { apiKey: "tskey-api-hush", baseUrl: server.url };
    await tearDown(new FakeVirsh(), teardown, api, (line) => said.push(line));
    expect(server.requests.map(({ method }) => method)).toEqual(["GET"]);
    return said.join("\n");
  }

  test("a guest that has said that it is another device, and goes by another name, is told of", async () => {
    server.reset();
    server.answer = () => ({
      body: { devices: [{ nodeId: "n7", ...device({ hostname: "laptop", name: "laptop" }) }] },
    });
    const virsh = new FakeVirsh();
    virsh.domains.set("project-web", { description: "project-vms stack storage", running: false, disks: [] });
    const run = virsh.run.bind(virsh);
    const mark = `<t:tailnet xmlns:t="${tailnetNamespace}" id="n9" node="${aNode(9).nodeKey}"/>`;
    virsh.run = async (...args) => (await run(...args)).replace("<metadata>", `<metadata>${mark}`);
    const said: string[] = [];
    const tailnet = { tag: "tag:project-vm" } as TailnetSettings;
    const teardown = { uri: "fake", project: "web", owner: "storage", keepData: true, tailnet };
    await tearDown(virsh, teardown, { apiKey: "tskey-api-hush", baseUrl: server.url }, (line) => said.push(line));
    expect(said).toContain(
      "web: none of the tailnet's devices is known to be its; if it has one there by another name, remove that by hand",
    );
  });

  test.each<[string, (text: string) => object]>([
    ["what it calls itself", (hostname) => ({ hostname })],
    ["what the tailnet calls it", (name) => ({ name, hostname: "project-web", tags: [] })],
    ["its tags", (tag) => ({ tags: [tag] })],
  ])("%s, no hostile text acts", async (_, machine) => {
    for (const [name, text] of Object.entries(hostileTexts)) {
      const said = await tornDownBeside(machine(text));
      expectHarmlessText(said, name);
      expect(said, name).toMatch(/^web: the device .* stays/);
      expect(said.split("\n"), name).toHaveLength(1);
    }
  });
});
