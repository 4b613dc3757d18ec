import { execFile, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, realpathSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { UserError } from "../core/errors.ts";
import type { EmbeddedHost } from "../libvirt/embedded-layout.ts";
import { findProcesses, insideName } from "../libvirt/embedded-look.ts";

const insideScript = fileURLToPath(new URL(insideName, import.meta.url));

/** Seconds that the kernel gets to end what was in a killed PID namespace: a disk may have much to write. */
const killLimit = 60;

/**
 * Starts the host's first process in its new namespaces, detached from the caller. Its output goes to
 * `<dir>/run/inside.log`.
 */
export function launch(host: EmbeddedHost, withKvm: boolean): void {
  const output = openSync(path.join(host.dir, "run/inside.log"), "a");
  closeSync(openSync(host.netns, "a"));
  const namespaces = ["--mount", "--propagation", "slave", `--net=${host.netns}`, "--pid", "--fork", "--kill-child"];
  const child = spawn("unshare", [...namespaces, "sh", insideScript, host.dir, withKvm ? "kvm" : "emulated"], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", output, output],
    // Nothing of the caller's: no proxies, no secrets, no D-Bus address.
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" },
  });
  child.on("error", () => {}); // it is then not there, and the wait for it says so
  child.unref();
  closeSync(output);
}

/** Ends the host's first process and with it all that is in its PID namespace, and waits until they are gone. */
export async function killHost(host: EmbeddedHost): Promise<void> {
  for (const pid of findProcesses(host)) {
    // It may have gone with the one before, and its number to another process.
    if (!findProcesses(host).includes(pid)) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It went at this moment.
    }
  }
  await waitFor("the embedded host's processes to end", killLimit, () => findProcesses(host).length === 0);
}

/**
 * Takes away what is left of a host whose processes are gone: its network namespace's mount, sockets, PID files.
 *
 * @returns whether there was anything
 */
export async function clearLeftovers(host: EmbeddedHost): Promise<boolean> {
  const run = path.join(host.dir, "run");
  const mounts = mountsBelow(run);
  for (const mountpoint of mounts) await promisify(execFile)("umount", ["--lazy", mountpoint]);
  const files = await readdir(run).catch(() => []);
  await rm(run, { recursive: true, force: true });
  return mounts.length > 0 || files.length > 0;
}

/**
 * What is mounted at or below a folder, the innermost first; a path that has two mounts comes twice.
 *
 * @param mountinfo as the kernel tells it: without links, by which a folder's own path may lead elsewhere
 */
export function mountsBelow(dir: string, mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): string[] {
  const real = existsSync(dir) ? realpathSync(dir) : dir;
  return parseMounts(mountinfo)
    .map(({ point }) => point)
    .filter((mountpoint) => mountpoint === real || mountpoint.startsWith(`${real}/`))
    .reverse();
}

/** What is mounted, by a text like `/proc/self/mountinfo`, in its order. The kernel writes blanks as `\040`. */
export function parseMounts(mountinfo: string): { point: string; type: string }[] {
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , , field = ""] = before.split(" ");
      const [type = ""] = after.split(" ");
      const point = field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      );
      return { point, type };
    });
}

/**
 * Waits until something is so.
 *
 * @param what for the error, as in "libvirtd to answer"
 * @throws UserError after so many seconds
 */
export async function waitFor(
  what: string,
  limitSeconds: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + limitSeconds * 1000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new UserError(`waited ${limitSeconds} s for ${what}`);
    await sleep(50);
  }
}
