import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cacheFolder } from "../../../toolchain/ensure/places.ts";

const installed = "/usr/sbin/sshd";

/**
 * A folder below which OpenSSH's server is as below `/`. Where it is not installed, Debian's package is unpacked and not
 * installed: an installed one would open this machine to log-ins.
 */
export async function sshdRoot(log: (line: string) => void): Promise<string> {
  if (existsSync(installed)) return "/";
  const root = join(dirname(cacheFolder()), "openssh-server");
  if (existsSync(root)) return root;
  log("fetching Debian's openssh-server, to be unpacked and not installed");
  const partial = `${root}.${process.pid}`;
  const packages = join(partial, "packages");
  mkdirSync(join(packages, "partial"), { recursive: true });
  try {
    await download(packages);
    for (const file of readdirSync(packages).filter((name) => name.endsWith(".deb"))) {
      await execa("dpkg-deb", ["--extract", join(packages, file), partial]);
    }
    rmSync(packages, { recursive: true });
    if (!existsSync(root)) renameSync(partial, root);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return root;
}

/** With what it depends on and this machine lacks. */
async function download(folder: string): Promise<void> {
  const options = ["--yes", "--download-only", "--no-install-recommends", "-o", `Dir::Cache::archives=${folder}`];
  const get = () => execa("apt-get", ["install", ...options, "openssh-server"]);
  // The package lists may be old or empty: they are fetched only if the first try fails.
  await get().catch(async () => {
    await execa("apt-get", ["update"]);
    await get();
  });
}

/** The folders with the libraries below such a root. */
export function librariesBelow(root: string): string[] {
  return ["usr/lib", "lib"].flatMap((folder) => {
    const below = join(root, folder);
    if (!existsSync(below)) return [];
    return readdirSync(below)
      .filter((name) => name.endsWith("-linux-gnu"))
      .map((name) => join(below, name));
  });
}
