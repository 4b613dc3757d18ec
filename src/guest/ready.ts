import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../core/errors.ts";
import type { GuestAddress, HostKey } from "../core/guest-values.ts";
import { indented } from "../core/printable.ts";
import { type ProgressLog, type Stage, sentence, type VmProgress } from "../core/records.ts";
import type { Guest } from "./guest.ts";
import { inTime, pauseAfter } from "./in-time.ts";
import type { TailnetJoin, TailnetNode } from "./tailnet-join.ts";

/** What was found when a VM became ready. */
export interface Readiness {
  /** Seconds from the beginning of the wait until the last stage held. */
  seconds: number;
  /** Seconds that each stage took; `tailnet` is there only where a tailnet is. */
  stages: Partial<Record<Stage, number>>;
  /** The guest's IP addresses on its libvirt network, IPv4 first. */
  addresses: GuestAddress[];
  /** The guest's public SSH host keys, as they stand in a known_hosts file. */
  hostKeys: HostKey[];
  /** The VM as its tailnet knows it, where there is one. */
  tailnet?: TailnetNode | undefined;
}

/** How long each stage may take, in seconds. */
export type Limits = Record<Stage, number>;

/** On KVM a boot takes seconds; a published cloud image installs its packages within `cloud-init`. */
export const limits: Record<"kvm" | "emulated", Limits> = {
  kvm: { boot: 180, "cloud-init": 1200, disk: 30, network: 60, docker: 60, nix: 60, claude: 60, tailnet: 180 },
  emulated: {
    boot: 600,
    "cloud-init": 3600,
    disk: 120,
    network: 180,
    docker: 240,
    nix: 240,
    claude: 240,
    tailnet: 480,
  },
};

/**
 * A stage that did not hold; the message names it, says why, and ends with the guest's log. What the guest says in it does not
 * act on a terminal, and no line of it looks like one of ours.
 */
export class NotReadyError extends UserError {
  override readonly name = "NotReadyError";
  readonly stage: Stage;

  constructor(domain: string, stage: Stage, seconds: number, reason: string, guestLog: string) {
    const log = guestLog.trim() || "(nothing could be read from the guest)";
    super(
      `${domain} is not ready: stage ${stage} failed after ${seconds} s:\n${indented(reason)}\nThe end of the guest's log:\n${indented(log)}`,
    );
    this.stage = stage;
  }
}

/** How often a line says that a stage is still being waited for, in seconds. */
const heartbeatSeconds = 20;

/**
 * Waits until a guest is ready: cloud-init finished without error, the project disk is mounted, there is an address,
 * Docker answers, Nix evaluates, Claude Code runs, and it is in its tailnet, if there is one.
 *
 * @param tailnet the tailnet to join
 * @param log is given a line when a stage holds, and now and then while one is waited for
 * @throws NotReadyError at the first stage that fails or runs out of time
 */
export async function waitUntilReady(
  guest: Guest,
  limit: Limits,
  log: ProgressLog,
  tailnet?: TailnetJoin,
): Promise<Readiness> {
  const started = performance.now();
  const taken: Partial<Record<Stage, number>> = {};
  const report = (stage: Stage, state: VmProgress["state"], seconds: number) => {
    const progress: VmProgress = { guest: guest.name, stage, state, seconds };
    log(sentence(progress), progress);
  };
  const run = async <T>(stage: Stage, step: (limitSeconds: number) => Promise<T>): Promise<T> => {
    const since = performance.now();
    const heartbeat = setInterval(() => report(stage, "waiting", secondsSince(since)), heartbeatSeconds * 1000);
    try {
      const result = await step(limit[stage]);
      const seconds = secondsSince(since);
      taken[stage] = seconds;
      report(stage, "ok", seconds);
      return result;
    } catch (error) {
      throw new NotReadyError(guest.name, stage, secondsSince(since), (error as Error).message, await guest.log());
    } finally {
      clearInterval(heartbeat);
    }
  };
  await run("boot", (seconds) => until(() => guest.answers(), seconds, "the guest agent did not answer"));
  await run("cloud-init", (seconds) => guest.cloudInitDone(seconds));
  await run("disk", (seconds) => guest.check("disk", seconds));
  const { addresses, hostKeys } = await run("network", async (seconds) => ({
    addresses: await until(
      async () => nonEmpty(await guest.addresses()),
      seconds,
      "the guest got no address from its network",
    ),
    hostKeys: await guest.hostKeys(),
  }));
  const joined = tailnet
    ? run("tailnet", (seconds) => guest.joinTailnet(tailnet, seconds))
    : Promise.resolve(undefined);
  await allSettledOrFirstError([
    ...(["docker", "nix", "claude"] as const).map((stage) => run(stage, (seconds) => guest.check(stage, seconds))),
    joined,
  ]);
  const node = await joined;
  const [called] = node?.name.split(".") ?? [];
  if (called !== undefined && called !== guest.name) log(`${guest.name}: ${describeRenamed(called)}`);
  return { seconds: secondsSince(started), stages: taken, addresses, hostKeys, tailnet: node };
}

/** By its name it is another device that is reached. */
const describeRenamed = (called: string) =>
  `its tailnet calls it ${called}, since another device there has its name; to have it: remove or rename that one, then name this one back there`;

/** Asks again and again until the answer is truthy; a question that is still open when the time is over is left at that. */
async function until<T>(ask: () => Promise<T | false>, limitSeconds: number, otherwise: string): Promise<T> {
  const started = performance.now();
  const end = started + limitSeconds * 1000;
  const late = () => new Error(`${otherwise} within ${limitSeconds} s`);
  for (let left = limitSeconds; left > 0; left = (end - performance.now()) / 1000) {
    const answer = await inTime(ask(), left, late);
    if (answer) return answer;
    await delay(pauseAfter(performance.now() - started));
  }
  throw late();
}

/** No check is left running behind an error. */
async function allSettledOrFirstError(work: Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}

const nonEmpty = <T>(list: T[]): T[] | false => (list.length > 0 ? list : false);
const secondsSince = (moment: number) => Math.round((performance.now() - moment) / 100) / 10;
