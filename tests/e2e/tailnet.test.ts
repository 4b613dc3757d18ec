import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSuccess } from "./support/expect-success.ts";
import { TailnetStack } from "./support/tailnet/tailnet-stack.ts";

const stack = new TailnetStack("tailnet");
const bootOf = (project: string) => stack.checkout.ssh(project, "cat /proc/sys/kernel/random/boot_id");
const addressOf = async (project: string) => (await stack.checkout.outputs()).projects[project]?.tailnetAddresses?.[0];

beforeAll(() => stack.start());
afterAll(() => stack.stop());

describe("VMs in a tailnet", () => {
  test("join it by name, each with a key of its own, and are reached over it by ping and ssh", async () => {
    stack.configure({ web: {}, worker: {} });
    expectSuccess(await stack.up());
    expect(stack.minted()).toBe(2);
    expect(await stack.names()).toEqual(["laptop", "project-web", "project-worker"]);
    const { projects } = await stack.checkout.outputs();
    expect(projects.web).toMatchObject({
      tailnetName: "project-web.tailnet.test",
      tailnetAddresses: [expect.stringMatching(/^100\.64\.0\.\d+$/), expect.stringMatching(/^fd7a:/)],
      stages: { tailnet: expect.any(Number) },
    });
    expect(await stack.laptop.ping("project-web")).toMatch(/^pong from project-web/);
    expect(await stack.reach("worker", "whoami; hostname")).toBe("dev\nproject-worker");
  });

  test("their used keys are history: nothing changes, also after a refresh", async () => {
    expectSuccess(await stack.up("--expect-no-changes"));
    expectSuccess(await stack.pulumi("preview", "--refresh", "--expect-no-changes"));
    expectSuccess(await stack.up("--refresh", "--expect-no-changes"));
    expect(stack.minted()).toBe(2);
  });

  test("a new root rejoins as the same device, without a new key", async () => {
    const before = await addressOf("web");
    stack.configure({ web: { rebuild: "x" }, worker: {} });
    expectSuccess(await stack.up());
    expect(await addressOf("web")).toBe(before);
    expect(await stack.names()).toEqual(["laptop", "project-web", "project-worker"]);
    expect(stack.minted()).toBe(2);
    expect(await stack.reach("web", "hostname")).toBe("project-web");
    expectSuccess(await stack.pulumi("preview", "--expect-no-changes"));
  });

  test("one whose device somebody removed joins again at the next up, with a fresh key", async () => {
    const { admin } = stack.tailnet;
    const device = (await admin.nodes()).find(({ givenName }) => givenName === "project-worker");
    await admin.deleteNode(device?.id ?? "");
    const all = expectSuccess(await stack.up());
    expect(all).toContain("worker: its device project-worker is no longer in the tailnet");
    expect(stack.minted()).toBe(3);
    expect(await stack.names()).toEqual(["laptop", "project-web", "project-worker"]);
    expect(await stack.reach("worker", "hostname")).toBe("project-worker");
    expectSuccess(await stack.up("--expect-no-changes"));
  });

  test("one that is removed leaves it, dead or alive, and a device of that name that is not ours is left alone", async () => {
    const stranger = await stack.startNode("project-worker");
    await stranger.up((await stack.tailnet.createKey({ tags: ["tag:client"] })).key);
    await stack.checkout.virsh.run("destroy", "project-worker");
    const before = await bootOf("web");
    stack.configure({ web: { rebuild: "x" } });
    const all = expectSuccess(await stack.up());
    expect(all).toContain("worker: its device project-worker left the tailnet");
    expect(all).toMatch(
      /worker: the device project-worker-\w+ \(\w+\) in the tailnet is not ours \(tags: tag:client\) and stays/,
    );
    const left = ["laptop", "project-web", expect.stringMatching(/^project-worker-\w+$/)];
    expect(await stack.names()).toEqual(left);
    expect(await bootOf("web")).toBe(before);
  });

  test("a destroy takes the rest of them out of it", async () => {
    expectSuccess(await stack.pulumi("destroy", "--yes", "--skip-preview"));
    expect(await stack.names()).toEqual(["laptop", expect.stringMatching(/^project-worker-\w+$/)]);
  });
});
