import { mkdir, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startEmbeddedHost, stopEmbeddedHost, wipeEmbeddedHost } from "../src/embedded-host/embedded.ts";
import { reapOrphans } from "../src/engine/orphans.ts";
import { type EmbeddedHost, embeddedHostFor } from "../src/libvirt/embedded-layout.ts";
import { withVirshSession } from "../src/libvirt/virsh.ts";
import { cacheFolder } from "../toolchain/ensure/places.ts";

/** Where the bench keeps all it makes; fixed, so that what a run before left there is found. */
export const benchDir = path.join(tmpdir(), "project-vms-bench");

/** Where plugins run from; the bench itself moves the caches. */
const toolchains = cacheFolder();

/** The bench's own embedded host, and its folder of states and files. */
export class BenchHost {
  readonly libvirt: EmbeddedHost = embeddedHostFor(benchDir);

  /** Clears what a run before left, and starts the host. */
  async start(log: (line: string) => void): Promise<void> {
    await this.remove();
    await mkdir(benchDir, { recursive: true });
    await startEmbeddedHost(this.libvirt, log);
  }

  /** A folder for one contender's files, empty. */
  async workDir(name: string): Promise<string> {
    const dir = path.join(benchDir, name);
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir);
    return dir;
  }

  /** Takes all off the host, for the next round: domains, networks, pools and their files. */
  async clear(): Promise<void> {
    await withVirshSession(this.libvirt.uri, async (ask) => {
      const [domains, networks, pools] = (
        await ask([
          ["list", "--all", "--name"],
          ["net-list", "--all", "--name"],
          ["pool-list", "--all", "--name"],
        ])
      ).map(({ output }) => output.split("\n").map((name) => name.trim()));
      const each = (names: string[] | undefined, ...commands: string[][]) =>
        (names ?? []).filter(Boolean).flatMap((name) => commands.map((command) => [...command, name]));
      // What is off already cannot be destroyed; that is as good.
      await ask([
        ...each(domains, ["destroy"], ["undefine"]),
        ...each(networks, ["net-destroy"], ["net-undefine"]),
        ...each(pools, ["pool-destroy"], ["pool-undefine"]),
      ]);
    });
    for (const entry of await readdir(this.libvirt.storageDir)) {
      await rm(path.join(this.libvirt.storageDir, entry), { recursive: true, force: true });
    }
  }

  /** Leaves nothing: guests are cut off. */
  async remove(): Promise<void> {
    const quiet = () => undefined;
    await stopEmbeddedHost(this.libvirt, quiet, 0);
    await wipeEmbeddedHost(this.libvirt);
    // Plain `pulumi` leaves its plugins behind.
    reapOrphans(toolchains);
    await rm(benchDir, { recursive: true, force: true });
  }
}
