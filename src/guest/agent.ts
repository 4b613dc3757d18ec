import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import { hideSecret, withoutGivenSecrets } from "../core/given-secrets.ts";
import { printableJson } from "../core/printable.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { anyAnswer, interfacesAnswer, longestOutput, readAgentAnswer, startedAnswer, statusAnswer } from "./answers.ts";
import { capped, mostErrors, mostOutput } from "./capped-output.ts";
import { AgentError, GuestRefusal } from "./guest-refusal.ts";
import { inTime, pauseAfter } from "./in-time.ts";

/** What a program in the guest answered. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** The same as bytes, which need not be a text, up to {@link mostOutput} and {@link mostErrors}. */
export interface ExecBytes {
  exitCode: number;
  stdout: Buffer;
  stderr: Buffer;
  /** Whether it wrote more. */
  isCut: boolean;
}

/** A network interface of the guest. What it says of it is not checked yet. */
export type GuestInterface = z.infer<typeof interfacesAnswer>[number];

/** How long one question to the agent may take, in seconds; a hung agent must not hang the caller. */
const answerSeconds = 10;

/** What the way there and back may take beside that, with libvirt's own look at whether an agent is there, in seconds. */
const waySeconds = 30;

/**
 * The QEMU guest agent of one domain, reached through libvirt, so that nothing needs a network path to the guest. Its guest's
 * root may have put another in its place: each answer is checked, and each call ends in time, whatever is answered.
 * Protocol: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
 */
export class GuestAgent {
  private readonly virsh: Virsh;
  /** The domain's name. */
  readonly domain: string;

  constructor(virsh: Virsh, domain: string) {
    this.virsh = virsh;
    this.domain = domain;
  }

  /** Whether the agent answers; false for a guest that has not come up yet, or is off. */
  async answers(): Promise<boolean> {
    return this.ask("guest-ping", anyAnswer).then(
      () => true,
      () => false,
    );
  }

  /**
   * Runs a program in the guest, as root, and waits for its end.
   *
   * @param secret goes to its standard input; on the way there it is in no process's arguments, and it is hidden where the guest
   *   says it back
   * @throws AgentError when it has not ended after `timeoutSeconds`, or the agent is gone
   * @throws GuestRefusal when it writes more than a message can need, or the agent answers what it must not
   * @example await agent.exec(["cat", "/etc/hostname"], 10)
   */
  async exec(command: [string, ...string[]], timeoutSeconds: number, secret?: string): Promise<ExecResult> {
    if (secret) hideSecret(secret);
    const { exitCode, stdout, stderr } = await this.execBytes(command, timeoutSeconds, secret);
    if (stdout.length + stderr.length > longestOutput) {
      throw new GuestRefusal(this.domain, `output of ${command[0]}`, `must have at most ${longestOutput} bytes`);
    }
    // Here too, and not only where it is printed: what is cut before that would show a part.
    const text = (bytes: Buffer) => withoutGivenSecrets(bytes.toString("utf8"));
    return { exitCode, stdout: text(stdout), stderr: text(stderr) };
  }

  /** As {@link exec}, with what the program wrote byte for byte, as far as an agent can hand it over. */
  async execBytes(program: [string, ...string[]], timeoutSeconds: number, input?: string | Buffer): Promise<ExecBytes> {
    const asked = performance.now();
    const end = asked + timeoutSeconds * 1000;
    const data = input === undefined ? {} : { "input-data": Buffer.from(input).toString("base64") };
    const [path, ...arg] = capped(program);
    const command = { path, arg, "capture-output": true, ...data };
    const late = () => new AgentError(this.domain, `${program[0]} has not ended after ${timeoutSeconds} s`);
    const left = () => (end - performance.now()) / 1000;
    // To be told of a program's start is worth more than its time: one that was started and is not waited for would go on.
    const { pid } = await this.ask("guest-exec", startedAnswer, command, input !== undefined);
    while (left() > 0) {
      const status = await inTime(this.ask("guest-exec-status", statusAnswer, { pid }, false, left()), left(), late);
      if (status.exited) {
        const [stdout, stderr] = [bytes(status["out-data"]), bytes(status["err-data"])];
        return {
          exitCode: status.exitcode ?? 128 + (status.signal ?? 0),
          stdout: stdout.subarray(0, mostOutput),
          stderr: stderr.subarray(0, mostErrors),
          isCut: stdout.length > mostOutput || stderr.length > mostErrors,
        };
      }
      // The agent tells nothing by itself.
      await delay(Math.min(pauseAfter(performance.now() - asked), Math.max(0, left() * 1000)));
    }
    throw late();
  }

  /** The guest's network interfaces with their addresses, as it tells them. */
  interfaces(): Promise<GuestInterface[]> {
    return this.ask("guest-network-get-interfaces", interfacesAnswer);
  }

  /** @throws AgentError when it gives none within some seconds, GuestRefusal when it does not fit */
  private async ask<Schema extends z.ZodType>(
    execute: string,
    schema: Schema,
    args?: object,
    privately = false,
    seconds = answerSeconds,
  ): Promise<z.infer<Schema>> {
    const limit = Math.max(1, Math.min(answerSeconds, Math.ceil(seconds)));
    // Not a control character in it, so that it stays one word whatever it holds.
    const request = printableJson({ execute, ...(args ? { arguments: args } : {}) });
    const command = ["qemu-agent-command", this.domain, request, "--timeout", String(limit)];
    const asked = { guest: this.domain, question: execute };
    const answer = withoutGivenSecrets(await this.run(command, privately, limit));
    return readAgentAnswer(schema, answer, asked);
  }

  /** What goes wrong at a command is the agent's; that there is no connection to the host is not. */
  private async run(command: string[], privately: boolean, limit: number): Promise<string> {
    const late = () => new AgentError(this.domain, `no answer within ${limit + waySeconds} s`);
    try {
      const running = privately ? this.virsh.runPrivately(...command) : this.virsh.run(...command);
      return await inTime(running, limit + waySeconds, late);
    } catch (error) {
      throw error instanceof VirshError && error.isAnswer
        ? new AgentError(this.domain, "it is not there, or refuses", withoutGivenSecrets(error.reason))
        : error;
    }
  }
}

const bytes = (base64 = "") => Buffer.from(base64, "base64");
