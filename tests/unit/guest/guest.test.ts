import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { macAddress } from "../../../src/core/names.ts";
import { cloudInitProblems } from "../../../src/guest/answers.ts";
import { Guest } from "../../../src/guest/guest.ts";
import type { Virsh } from "../../../src/libvirt/virsh.ts";
import { VirshError } from "../../../src/libvirt/virsh-error.ts";
import { aHostKey, anEcdsaKey } from "./samples.ts";

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
    expect(cloudInitProblems(JSON.stringify(report), "project-app")).toEqual(problems);
  });

  test("what is no report is shown", () => {
    expect(() => cloudInitProblems("Killed", "project-app")).toThrow(
      "project-app: cloud-init status: must be JSON; it says:\n  | Killed\n    look at it: project-vm console app",
    );
  });
});

/** Answers the agent's questions from a table, as `virsh qemu-agent-command` prints them; its domain is on no network of libvirt's. */
function virshAnswering(answers: Record<string, unknown>): Virsh {
  const run = async (command: string, _domain: string, request?: string) => {
    if (command === "dumpxml") return "<domain><name>project-app</name></domain>";
    if (command !== "qemu-agent-command" || !request) throw new Error(`unexpected: virsh ${command}`);
    const { execute } = JSON.parse(request) as { execute: string };
    if (!(execute in answers)) throw new Error("Guest agent is not responding");
    return JSON.stringify({ return: answers[execute] });
  };
  return { run } as unknown as Virsh;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("Guest", () => {
  test.each([
    ["exit", 0, "", "left its tailnet; its device stays on the tailnet's list until it is removed there"],
    [
      "no exit",
      1,
      "not\u001b[31m today",
      "did not leave its tailnet; it is out once its device is removed there. project-app: tailscale failed (exit code 1):\n  | not today",
    ],
  ])("leaves its tailnet, or is told of: %s", async (_, exitcode, words, told) => {
    const status = { exited: true, exitcode, "err-data": base64(words) };
    const guest = new Guest(virshAnswering({ "guest-exec": { pid: 1 }, "guest-exec-status": status }), "app");
    expect(await guest.leaveTailnet()).toBe(`project-app: ${told}`);
  });

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
      "The guest agent of project-app: /usr/local/lib/project-vm/check has not ended after 0.1 s",
    );
  });

  test("host keys come without their comments", async () => {
    const keys = `${anEcdsaKey()} root@a\n${aHostKey()} root@a\nssh-future-1 AAAA root@a\n`;
    const guest = new Guest(
      virshAnswering({
        "guest-exec": { pid: 7 },
        "guest-exec-status": { exited: true, exitcode: 0, "out-data": base64(keys) },
      }),
      "app",
    );
    expect(await guest.hostKeys()).toEqual([anEcdsaKey(), aHostKey()]);
  });

  test.each([
    ["while it boots", 75, "project-app is still booting, and has no SSH host keys yet."],
    ["though it has booted", 0, "project-app: SSH host keys: must hold one of a type that is known here; it says:"],
    [
      "and says nothing of its boot",
      1,
      "project-app: SSH host keys: must hold one of a type that is known here; it says:",
    ],
  ])("no host keys %s", async (_, exitcode, error) => {
    const status = { exited: true, exitcode, "out-data": base64("\n") };
    const guest = new Guest(virshAnswering({ "guest-exec": { pid: 7 }, "guest-exec-status": status }), "app");
    await expect(guest.hostKeys()).rejects.toThrow(error);
  });

  test("host keys that a guest has while it boots are taken", async () => {
    const status = { exited: true, exitcode: 75, "out-data": base64(`${aHostKey()}\n`) };
    const guest = new Guest(virshAnswering({ "guest-exec": { pid: 7 }, "guest-exec-status": status }), "app");
    expect(await guest.hostKeys()).toEqual([aHostKey()]);
  });

  test.each([
    ["that boots and has none", "true", 75, ""],
    ["that boots and is just writing one", "touch /etc/ssh/ssh_host_rsa_key.pub", 75, ""],
    ["that boots and has one", "echo key >/etc/ssh/ssh_host_rsa_key.pub", 0, "key"],
    ["that has booted and has none", "mkdir -p /run/cloud-init && touch /run/cloud-init/result.json", 0, ""],
    ["whose cloud-init is disabled", "mkdir -p /run/cloud-init && touch /run/cloud-init/disabled", 0, ""],
  ])("what asks a guest %s for its host keys", async (_, arrange, exitCode, stdout) => {
    const asked: string[][] = [];
    const answers = { "guest-exec": { pid: 7 }, "guest-exec-status": { exited: true, "out-data": "" } };
    const virsh = virshAnswering(answers);
    const run: Virsh["run"] = (...words) => {
      const { execute, arguments: of } = JSON.parse(words[2] ?? "{}");
      if (execute === "guest-exec") asked.push(of.arg);
      return virsh.run(...words);
    };
    await new Guest({ ...virsh, run }, "app").hostKeys().catch(() => undefined);
    // In a mount namespace of its own, with the machine's own files covered.
    const script = `mkdir -p /etc/ssh && mount -t tmpfs none /etc/ssh && mount -t tmpfs none /run && ${arrange} && exec /bin/sh "$@"`;
    const words = ["--mount", "sh", "-c", script, "sh", ...(asked[0] ?? [])];
    expect(await execa("unshare", words, { reject: false })).toMatchObject({ exitCode, stdout });
  });

  test("without agent and console there is no log, and no error", async () => {
    expect(await new Guest(virshAnswering({}), "app").log()).toBe("");
  });
});

describe("a guest that does not answer in time", () => {
  const never = () => new Promise<string>(() => {});
  const silent: Virsh = { uri: "qemu:///system", run: never, runPrivately: never };
  test("is given up at the limit, though libvirt is kept waiting", async () => {
    const slow: Virsh = {
      ...silent,
      run: async (_command, _domain, request = "") =>
        request.includes("guest-exec-status") ? new Promise(() => {}) : '{"return":{"pid":7}}',
    };
    const started = Date.now();
    await expect(new Guest(slow, "app").check("docker", 0.3)).rejects.toThrow(
      "The guest agent of project-app: /usr/local/lib/project-vm/check has not ended after 0.3 s",
    );
    expect(Date.now() - started).toBeLessThan(5000);
  });

  test("is asked for as long as there is time, and no longer", async () => {
    const limits: string[] = [];
    const virsh: Virsh = {
      ...silent,
      run: async (...args) => {
        limits.push(args.at(-1) ?? "");
        return args[2]?.includes("status") ? '{"return":{"exited":false}}' : '{"return":{"pid":7}}';
      },
    };
    await expect(new Guest(virsh, "app").check("docker", 1)).rejects.toThrow("has not ended after 1 s");
    expect([...new Set(limits)]).toEqual(["10", "1"]);
  });

  test("has written more than a message can need", async () => {
    const data = base64("A".repeat(2 ** 20 + 1));
    const virsh = virshAnswering({
      "guest-exec": { pid: 7 },
      "guest-exec-status": { exited: true, exitcode: 0, "out-data": data },
    });
    await expect(new Guest(virsh, "app").check("docker", 5)).rejects.toThrow(
      "project-app: output of /usr/local/lib/project-vm/check: must have at most 1048576 bytes",
    );
  });
});

test("what libvirt says of an agent's error is the guest's word, and no reason to think that the host is away", async () => {
  const virsh: Virsh = {
    uri: "qemu:///system",
    run: async () => {
      throw new VirshError(
        "qemu:///system",
        ["qemu-agent-command"],
        undefined,
        "no connection within 1 s\x1b[2J",
        true,
      );
    },
    runPrivately: async () => "",
  };
  await expect(new Guest(virsh, "app").check("docker", 5)).rejects.toThrow(
    "The guest agent of project-app: it is not there, or refuses:\n  | no connection within 1 s\\x1b[2J",
  );
});
