import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { UserError } from "../../config/errors.ts";
import { orphansAmong, type ProcessFound, reapOrphans } from "../../engine/orphans.ts";
import { localDir } from "../../host/resolve.ts";
import { checkoutEnvironment } from "../../local/checkout.ts";
import { releaseDeadLocks } from "../../local/stack-lock.ts";
import { cacheFolder } from "../../toolchain/ensure/places.ts";
import { toolchainEnvironment } from "../../toolchain/ensure.ts";
import { bridgeVersion, commandVersion, pulumiVersion, tailscaleVersion } from "../../toolchain/plugin/version.ts";
import { type Examined, failure, ok, warning } from "./finding.ts";

type Log = (line: string) => void;

/** The plugins that an update needs, as folders of PULUMI_HOME. */
const plugins = [
  `resource-terraform-provider-v${bridgeVersion}`,
  `resource-command-v${commandVersion}`,
  `resource-tailscale-v${tailscaleVersion}`,
];

/** The engine of this machine, and what it may have left behind. */
export async function examineEngine(root: string, stack: string, log: Log): Promise<Examined[]> {
  return Promise.all([toolchain(), orphans(), locks(root, stack, log)]);
}

async function toolchain(): Promise<Examined> {
  const make = "make prepare";
  try {
    const env = toolchainEnvironment();
    const { stdout } = await execa("pulumi", ["version"], { env });
    const home = path.join(env.PULUMI_HOME ?? "", "plugins");
    const missing = plugins.filter((plugin) => !existsSync(path.join(home, plugin)));
    if (missing.length > 0) return failure("engine", `Pulumi ${stdout.trim()}; missing: ${missing.join(", ")}`, make);
    return ok("engine", `Pulumi ${stdout.trim()} (made for v${pulumiVersion}), ${plugins.join(", ")}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return failure("engine", "Pulumi and its plugins are not there yet, or of other versions", make);
  }
}

async function orphans(): Promise<Examined> {
  const { stdout } = await execa("ps", ["-eo", "pid=,ppid=,exe="]);
  const found = orphansAmong(processesIn(stdout), cacheFolder());
  if (found.length === 0) return ok("plugin processes", "none was left behind");
  const pids = found.map(({ pid }) => pid).join(" ");
  const says = `${found.length} were left behind by engines that are gone (${pids})`;
  const mend = async () => {
    reapOrphans(cacheFolder());
  };
  return warning("plugin processes", says, `kill ${pids}`, mend);
}

/** Reads a table of processes. A kernel thread, and somebody else's process, has no executable to see. */
export function processesIn(ps: string): ProcessFound[] {
  return ps.split("\n").flatMap((line) => {
    const [, pid, parent, executable = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), executable: executable.trim() }];
  });
}

async function locks(root: string, stack: string, log: Log): Promise<Examined> {
  const dir = path.join(localDir(root), "state", ".pulumi", "locks", "organization", "project-vms", stack);
  const files = await readdir(dir).catch(() => []);
  const holders = await Promise.all(
    files.map(async (file) => JSON.parse(await readFile(path.join(dir, file), "utf8"))),
  );
  if (holders.length === 0) return ok("lock", "nobody holds the stack's");
  const [{ pid, hostname: where, username }] = holders;
  if (where !== hostname() || isAlive(pid)) {
    return ok("lock", `an update is going on: process ${pid} of ${username} on ${where}`);
  }
  const mend = async () => {
    Object.assign(process.env, toolchainEnvironment(), checkoutEnvironment(root));
    await releaseDeadLocks(root, stack, log);
  };
  const says = `an update that was killed left its lock behind (process ${pid})`;
  return failure("lock", says, `pulumi cancel -s ${stack}, then pulumi up --refresh -s ${stack}`, mend);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
