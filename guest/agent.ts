import { setTimeout as delay } from "node:timers/promises";
import type { Virsh } from "../host/virsh.ts";

/** What a program in the guest answered. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** The same as bytes, which need not be a text. */
export interface ExecBytes {
  exitCode: number;
  stdout: Buffer;
  stderr: Buffer;
  /** Whether it wrote more than the agent keeps. */
  isCut: boolean;
}

/** A network interface of the guest, as the agent names it. */
export interface GuestInterface {
  name: string;
  "hardware-address"?: string;
  "ip-addresses"?: { "ip-address": string; "ip-address-type": "ipv4" | "ipv6" }[];
}

/** How often a running program in the guest is asked after; the agent tells nothing by itself. */
const pollMilliseconds = 300;

/** How long one question to the agent may take; a hung agent must not hang the caller. */
const answerSeconds = 10;

/**
 * The QEMU guest agent of one domain, reached through libvirt, so that nothing needs a network path to the guest.
 * Protocol: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
 */
export class GuestAgent {
  constructor(
    private readonly virsh: Virsh,
    private readonly domain: string,
  ) {}

  /** Whether the agent answers; false for a guest that has not come up yet, or is off. */
  async answers(): Promise<boolean> {
    return this.ask("guest-ping").then(
      () => true,
      () => false,
    );
  }

  /**
   * Runs a program in the guest, as root, and waits for its end.
   *
   * @param input goes to its standard input; on the way there it is in no process's arguments: it may be secret
   * @throws Error when it has not ended after `timeoutSeconds`, or the agent is gone
   * @example await agent.exec(["cat", "/etc/hostname"], 10)
   */
  async exec(command: [string, ...string[]], timeoutSeconds: number, input?: string | Buffer): Promise<ExecResult> {
    const { exitCode, stdout, stderr } = await this.execBytes(command, timeoutSeconds, input);
    return { exitCode, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") };
  }

  /** As {@link exec}, with what the program wrote byte for byte. */
  async execBytes(
    [path, ...arg]: [string, ...string[]],
    timeoutSeconds: number,
    input?: string | Buffer,
  ): Promise<ExecBytes> {
    const started = Date.now();
    const data = input === undefined ? {} : { "input-data": Buffer.from(input).toString("base64") };
    const command = { path, arg, "capture-output": true, ...data };
    const { pid } = await this.ask<{ pid: number }>("guest-exec", command, input !== undefined);
    while (Date.now() - started < timeoutSeconds * 1000) {
      const status = await this.ask<ExecStatus>("guest-exec-status", { pid });
      if (status.exited) {
        return {
          exitCode: status.exitcode ?? 128 + (status.signal ?? 0),
          stdout: bytes(status["out-data"]),
          stderr: bytes(status["err-data"]),
          isCut: (status["out-truncated"] ?? false) || (status["err-truncated"] ?? false),
        };
      }
      await delay(pollMilliseconds);
    }
    throw new Error(`${path} has not ended after ${timeoutSeconds} s`);
  }

  /** The guest's network interfaces with their addresses. */
  interfaces(): Promise<GuestInterface[]> {
    return this.ask("guest-network-get-interfaces");
  }

  private async ask<Answer>(execute: string, args?: object, privately = false): Promise<Answer> {
    const request = JSON.stringify({ execute, ...(args ? { arguments: args } : {}) });
    const command = ["qemu-agent-command", this.domain, request, "--timeout", String(answerSeconds)];
    const answer = await (privately ? this.virsh.runPrivately(...command) : this.virsh.run(...command));
    return (JSON.parse(answer) as { return: Answer }).return;
  }
}

interface ExecStatus {
  exited: boolean;
  exitcode?: number;
  signal?: number;
  "out-data"?: string;
  "err-data"?: string;
  "out-truncated"?: boolean;
  "err-truncated"?: boolean;
}

const bytes = (base64 = "") => Buffer.from(base64, "base64");
