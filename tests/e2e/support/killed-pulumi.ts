import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { checkoutEnvironment } from "../../../local/checkout.ts";

/**
 * Runs `pulumi` in a checkout and kills its whole process group, as a power cut would, the moment that a line of its output
 * matches.
 *
 * @throws Error with the output when it ended by itself before
 */
export async function pulumiKilledAt(dir: string, moment: RegExp, ...args: string[]): Promise<void> {
  const pulumi = spawn("pulumi", [...args, "--stack", "local", "--non-interactive"], {
    cwd: dir,
    env: { ...process.env, ...checkoutEnvironment(dir) },
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(pulumi, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: pulumi.stdout })) {
    lines.push(line);
    if (!moment.test(line)) continue;
    process.kill(-(pulumi.pid as number), "SIGKILL");
    await exited;
    return;
  }
  throw new Error(`pulumi ${args.join(" ")} ended before ${moment}:\n${lines.slice(-30).join("\n")}`);
}
