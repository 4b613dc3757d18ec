import { describe, expect, test } from "vitest";
import { stages } from "../../../src/core/records.ts";
import type { Guest } from "../../../src/guest/guest.ts";
import { limits, NotReadyError, waitUntilReady } from "../../../src/guest/ready.ts";
import { aHostKey, aNode, anAddress, aTailnetName, guestText } from "./samples.ts";

/** A guest that is well in all respects but those given. */
function guest(changes: Partial<Guest> = {}): Guest {
  const well: Partial<Guest> = {
    name: "project-app",
    answers: async () => true,
    cloudInitDone: async () => undefined,
    check: async () => undefined,
    addresses: async () => [anAddress("10.77.0.5")],
    hostKeys: async () => [aHostKey()],
    log: async () => guestText("line one\nline two\n"),
  };
  return { ...well, ...changes } as Guest;
}

const short = { ...limits.kvm, boot: 0.05, network: 0.05 };

describe("waitUntilReady", () => {
  test("a guest in order is ready, with each stage's time", async () => {
    const lines: string[] = [];
    const records: unknown[] = [];
    const ready = await waitUntilReady(guest(), limits.kvm, (line, progress) => {
      lines.push(line);
      records.push(progress);
    });
    expect(ready).toEqual({
      seconds: expect.any(Number),
      stages: Object.fromEntries(
        stages.filter((stage) => stage !== "tailnet").map((stage) => [stage, expect.any(Number)]),
      ),
      addresses: ["10.77.0.5"],
      hostKeys: [aHostKey()],
    });
    expect(lines).toContainEqual(expect.stringMatching(/^project-app: docker ok, [\d.]+ s$/));
    expect(lines).toHaveLength(7);
    expect(records).toContainEqual({
      ...{ guest: "project-app", stage: "docker", state: "ok" },
      seconds: expect.any(Number),
    });
  });

  test("a guest that does not come up is named with its stage and its log", async () => {
    const waiting = waitUntilReady(guest({ answers: async () => false }), short, () => undefined);
    await expect(waiting).rejects.toThrow(NotReadyError);
    await expect(waiting).rejects.toThrow(
      /^project-app is not ready: stage boot failed after \d\.?\d* s:\n {2}\| the guest agent did not answer within 0\.05 s\nThe end of the guest's log:\n {2}\| line one\n {2}\| line two$/,
    );
  });

  test("a failing check gives its own reason, and a log that cannot be had is said to be so", async () => {
    const check = async (stage: string) => {
      if (stage === "nix") throw new Error("nix-daemon is not running");
    };
    const waiting = waitUntilReady(guest({ check, log: async () => guestText("") }), short, () => undefined);
    await expect(waiting).rejects.toThrow(
      /stage nix failed after [\d.]+ s:\n {2}\| nix-daemon is not running\nThe end of the guest's log:\n {2}\| \(nothing could be read from the guest\)$/,
    );
  });

  test("no line of a failure is broken by a terminal where it would look like one of ours", async () => {
    const forged = `${"x".repeat(72)}project-app: READY`;
    const check = async () => {
      throw new Error(`${"\u3000".repeat(36)}project-app: READY, really`);
    };
    const waiting = waitUntilReady(guest({ check, log: async () => guestText(forged) }), short, () => undefined);
    await expect(waiting).rejects.toThrow(
      /failed after [\d.]+ s:\n {2}\| \u3000{36}\n {2}\| project-app: READY, really\nThe end of the guest's log:\n {2}\| x{72}\n {2}\| project-app: READY$/,
    );
  });

  test.each([
    ["project-app.tail1.ts.net", []],
    [
      "project-app-1.tail1.ts.net",
      [
        "project-app: its tailnet calls it project-app-1, since another device there has its name; to have it: remove or rename that one, then name this one back there",
      ],
    ],
  ])("a guest that its tailnet calls %s is ready, and reported where that is not its name", async (name, reported) => {
    const node = { ...aNode(1), name: aTailnetName(name), addresses: [] };
    const lines: string[] = [];
    const join = { anew: false, key: { tag: "", reusable: false, keyExpiry: 1, description: "" } };
    const joinTailnet = async () => node;
    const ready = await waitUntilReady(guest({ joinTailnet }), limits.kvm, (line) => lines.push(line), join);
    expect(ready.tailnet).toEqual(node);
    expect(lines.filter((line) => !line.endsWith(" s"))).toEqual(reported);
  });

  test("a guest without address is not ready", async () => {
    const waiting = waitUntilReady(guest({ addresses: async () => [] }), short, () => undefined);
    await expect(waiting).rejects.toThrow("stage network failed");
    await expect(waiting).rejects.toThrow("the guest got no address from its network within 0.05 s");
  });
});
