import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { checkoutEnvironment } from "../../../src/checkout/checkout.ts";

/** What a kill ends: the engine alone, as the kernel does when memory runs out, or its process group, as a closed container does. */
export type Victim = "engine" | "group";

/**
 * Runs `pulumi` in a checkout and kills its whole process group, as a power cut would, the moment that a line of its output
 * matches.
 *
 * @throws Error with the output when it ended by itself before
 */
export async function pulumiKilledAt(dir: string, moment: RegExp, ...args: string[]): Promise<void> {
  await signalledAt("SIGKILL", dir, moment, args);
}

/**
 * The same for Ctrl-C, which in a terminal reaches the whole group.
 *
 * @returns the milliseconds from the signal until `pulumi` and whatever has its output open had ended, and how it ended
 * @throws Error with the output when it ended by itself before
 */
export function pulumiInterruptedAt(dir: string, moment: RegExp, ...args: string[]) {
  return signalledAt("SIGINT", dir, moment, args);
}

async function signalledAt(signal: "SIGINT" | "SIGKILL", dir: string, moment: RegExp, args: string[]) {
  const pulumi = start(dir, args);
  const exited = once(pulumi, "exit");
  const lines: string[] = [];
  let since: number | undefined;
  for await (const line of createInterface({ input: pulumi.stdout })) {
    lines.push(line);
    if (since !== undefined || !moment.test(line)) continue;
    since = Date.now();
    process.kill(-(pulumi.pid as number), signal);
    // Its plugins may outlive a kill, and keep its output open.
    if (signal === "SIGKILL") break;
  }
  const [exitCode] = await exited;
  if (since !== undefined) return { exitCode, milliseconds: Date.now() - since, output: lines.join("\n") };
  throw new Error(`pulumi ${args.join(" ")} ended before ${moment}:\n${lines.slice(-30).join("\n")}`);
}

/**
 * Runs `pulumi` in a checkout and kills it when it is told to.
 *
 * @param arm is given what kills it, before it has done anything; what that returns is called when it has ended
 * @returns whether it was killed: if not, it did what it should before
 * @throws Error with the output when it failed by itself
 */
export async function pulumiKilledBy(
  dir: string,
  arm: (now: () => void) => () => void,
  victim: Victim,
  ...args: string[]
): Promise<boolean> {
  const pulumi = start(dir, args);
  let output = "";
  pulumi.stdout.on("data", (data) => {
    output += data;
  });
  const disarm = arm(() => kill(pulumi, victim));
  const [exitCode, signal] = await once(pulumi, "exit");
  disarm();
  // What it left behind may still hold the other end.
  pulumi.stdout.destroy();
  if (exitCode !== 0 && signal !== "SIGKILL") throw new Error(`pulumi ${args.join(" ")} failed by itself:\n${output}`);
  return signal === "SIGKILL";
}

function start(dir: string, args: string[]) {
  return spawn("pulumi", [...args, "--stack", "local", "--non-interactive"], {
    cwd: dir,
    env: { ...process.env, ...checkoutEnvironment(dir) },
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Does nothing when it has ended. */
function kill(pulumi: ChildProcess, victim: Victim): void {
  if (pulumi.exitCode !== null || pulumi.signalCode !== null) return;
  const pid = pulumi.pid as number;
  process.kill(victim === "group" ? -pid : pid, "SIGKILL");
}
