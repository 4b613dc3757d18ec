import { describe, expect, test } from "vitest";
import { macAddress } from "../../../config/names.ts";
import { cloudInitProblems, Guest } from "../../../guest/guest.ts";
import type { Virsh } from "../../../host/virsh.ts";

describe("cloudInitProblems", () => {
  test.each([
    ["done", { status: "done", errors: [], recoverable_errors: {} }, []],
    [
      "done, with deprecations",
      { status: "done", recoverable_errors: { DEPRECATED: ["old key"], WARNING: ["slow"] } },
      [],
    ],
    [
      "done, with recoverable errors",
      { status: "done", recoverable_errors: { ERROR: ["apt failed"] } },
      ["apt failed"],
    ],
    ["failed", { status: "error", errors: ["('scripts_user', RuntimeError())"] }, ["('scripts_user', RuntimeError())"]],
    ["failed without a word", { status: "error" }, ["cloud-init's status is error"]],
    ["without a seed", { status: "disabled" }, ["cloud-init is disabled: it found no seed"]],
  ])("%s", (_, report, problems) => {
    expect(cloudInitProblems(JSON.stringify(report))).toEqual(problems);
  });

  test("what is no report is shown", () => {
    expect(cloudInitProblems("Killed")).toEqual(['cloud-init gave no report but "Killed"']);
  });
});

/** Answers the agent's questions from a table, as `virsh qemu-agent-command` prints them. */
function virshAnswering(answers: Record<string, unknown>): Virsh {
  const run = async (command: string, _domain: string, request?: string) => {
    if (command !== "qemu-agent-command" || !request) throw new Error(`unexpected: virsh ${command}`);
    const { execute } = JSON.parse(request) as { execute: string };
    if (!(execute in answers)) throw new Error("Guest agent is not responding");
    return JSON.stringify({ return: answers[execute] });
  };
  return { run } as unknown as Virsh;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("Guest", () => {
  test("its addresses are those of its own interface, IPv4 first, without link-local ones", async () => {
    const ip = (address: string, type = "ipv4") => ({ "ip-address": address, "ip-address-type": type });
    const guest = new Guest(
      virshAnswering({
        "guest-network-get-interfaces": [
          { name: "lo", "ip-addresses": [ip("127.0.0.1")] },
          { name: "docker0", "hardware-address": "02:42:00:00:00:01", "ip-addresses": [ip("172.17.0.1")] },
          {
            name: "enp1s0",
            "hardware-address": macAddress("app").toUpperCase(),
            "ip-addresses": [ip("fe80::1", "ipv6"), ip("fd00::5", "ipv6"), ip("10.77.0.5")],
          },
        ],
      }),
      "app",
    );
    expect(await guest.addresses()).toEqual(["10.77.0.5", "fd00::5"]);
  });

  test("a check that fails gives the guest's reason", async () => {
    const guest = new Guest(
      virshAnswering({
        "guest-exec": { pid: 7 },
        "guest-exec-status": { exited: true, exitcode: 1, "out-data": base64("docker does not answer\n") },
      }),
      "app",
    );
    await expect(guest.check("docker", 5)).rejects.toThrow(/^docker does not answer$/);
  });

  test("a check that does not end runs out of its time", async () => {
    const guest = new Guest(
      virshAnswering({ "guest-exec": { pid: 7 }, "guest-exec-status": { exited: false } }),
      "app",
    );
    await expect(guest.check("docker", 0.1)).rejects.toThrow(
      "/usr/local/lib/project-vm/check has not ended after 0.1 s",
    );
  });

  test("host keys come without their comments", async () => {
    const keys = "ecdsa-sha2-nistp256 AAAAE root@a\nssh-ed25519 AAAAC root@a\n";
    const guest = new Guest(
      virshAnswering({
        "guest-exec": { pid: 7 },
        "guest-exec-status": { exited: true, exitcode: 0, "out-data": base64(keys) },
      }),
      "app",
    );
    expect(await guest.hostKeys()).toEqual(["ecdsa-sha2-nistp256 AAAAE", "ssh-ed25519 AAAAC"]);
  });

  test("without agent and console there is no log, and no error", async () => {
    expect(await new Guest(virshAnswering({}), "app").log()).toBe("");
  });
});
