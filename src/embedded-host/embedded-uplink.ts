import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { factOf, UserError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { printableLine } from "../core/printable.ts";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { waitFor } from "./embedded-process.ts";
import { takeUserId } from "./embedded-users.ts";
import { type InsideProcess, pidNamespace, processesInside, userOf } from "./inside-processes.ts";
import { wantsUplink } from "./uplink-setting.ts";

const script = fileURLToPath(new URL("./embedded-uplink.sh", import.meta.url));

/** Limits in seconds. */
const limits = { routes: 5, up: 15, down: 10 };

/** Whether a host's way out is not as its checkout's stacks say. */
export const isUplinkToChange = (host: EmbeddedHost) =>
  wantsUplink(host.checkout) ? whyNot() === undefined && !isUp(host) : isUp(host);

/**
 * Gives the guests of an embedded host that runs a way out, or takes it away, as its checkout's stacks say. The guests go on.
 * Where there is none to be had, it is said in a line, and all goes on without.
 */
export async function bringUplink(host: EmbeddedHost, log: Log): Promise<void> {
  if (!wantsUplink(host.checkout)) {
    if (await takeDown(host)) log("embedded host: its VMs have no way out any more, as `uplink: false` says");
    return;
  }
  if (isUp(host)) return;
  const problem = whyNot() ?? (await putUp(host).catch(reasonOf));
  log(problem ? `embedded host: its VMs have no way out: ${problem}` : "embedded host: its VMs reach the outside");
  if (problem !== undefined) return;
  for (const range of leftOpen(readFileSync(logOf(host), "utf8"))) {
    log(
      `embedded host: its VMs reach ${range} too, a network of this machine's own: wider than /8, it cannot be closed`,
    );
  }
}

/** The networks of this machine's that its script leaves open, by what it says. */
export const leftOpen = (said: string) => [...said.matchAll(/^uplink: left open: (\S+)$/gm)].map(([, range]) => range);

const logOf = (host: EmbeddedHost) => path.join(host.dir, "run/uplink.log");

/** Why there can be no way out; undefined: there can. */
function whyNot(): string | undefined {
  if (!existsSync("/dev/net/tun")) return "there is no /dev/net/tun";
  // Shorter than what a lock is renewed within: nothing else is done meanwhile.
  const options = { encoding: "utf8", timeout: limits.routes * 1000, killSignal: "SIGKILL" } as const;
  try {
    const routes = execFileSync("ip", ["-4", "route", "show", "default"], options);
    return routes.trim() === "" ? "this machine has no default route" : undefined;
  } catch (error) {
    return `this machine does not tell its routes: ${reasonOf(error)}`;
  }
}

/** An error in a line. */
const reasonOf = (error: unknown) =>
  error instanceof UserError && error.issues.length > 0
    ? error.issues.map((issue) => `${factOf(issue)}; ${issue.remedy}`).join("; ")
    : printableLine((error as Error).message);

/** @returns what went wrong */
async function putUp(host: EmbeddedHost): Promise<string | undefined> {
  const inside = pidNamespace(host);
  if (!inside) return "it is not running";
  const user = await takeUserId(host, "uplink");
  const logFile = logOf(host);
  const output = openSync(logFile, "w");
  const child = spawn("nsenter", [`--pid=${inside}`, "sh", script, host.dir, String(user)], {
    cwd: "/",
    // It leads a process group of its own, which it ends as a whole.
    detached: true,
    stdio: ["ignore", output, output],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" },
  });
  closeSync(output);
  let ended = false;
  child.once("error", () => {
    ended = true;
  });
  child.once("exit", () => {
    ended = true;
  });
  child.unref();
  const said = () => readFileSync(logFile, "utf8").trim();
  const isThere = () => /^uplink: up$/m.test(said());
  await waitFor("the uplink", limits.up, () => isThere() || ended).catch(() => undefined);
  if (isThere()) return undefined;
  await takeDown(host);
  return said().split("\n").at(-1) || `it did not come up within ${limits.up} s`;
}

async function takeDown(host: EmbeddedHost): Promise<boolean> {
  if (uplinkProcesses(host).length === 0) return false;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    for (const { pid } of uplinkProcesses(host)) signalIfThere(pid, signal);
    const isGone = () => uplinkProcesses(host).length === 0;
    const gone = await waitFor("the uplink to end", limits.down, isGone).then(
      () => true,
      () => false,
    );
    if (gone) break;
  }
  return true;
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It went with the one before.
  }
}

const isUp = (host: EmbeddedHost) => uplinkProcesses(host).some(isLink);

/** The user that a host's way out runs as; undefined: there is none. */
export function uplinkUser(host: EmbeddedHost): number | undefined {
  const link = uplinkProcesses(host).find(isLink);
  return link && userOf(link);
}

/** The script, which may be another checkout's or an earlier version's, and the QEMU of a host's uplink. */
const uplinkProcesses = (host: EmbeddedHost) =>
  processesInside(host).filter(
    ({ words }) =>
      words.some((word) => path.basename(word) === path.basename(script)) || isNamed(words, `uplink of ${host.dir}`),
  );

const isNamed = (words: string[], name: string) => words[words.indexOf("-name") + 1] === name;

const isLink = ({ words }: InsideProcess) => words.some((word) => word.includes("qemu"));
