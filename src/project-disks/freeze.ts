import { type Issue, UserError } from "../core/errors.ts";
import type { Shell } from "../libvirt/shell.ts";
import { runScript } from "./host-script.ts";
import { mountpoint, type ProjectDisk } from "./project-disk.ts";

/** What came of a command between freeze and thaw. */
export interface FrozenAnswer {
  /** Whether the guest said that it froze its filesystem. */
  wasFrozen: boolean;
  /** All that virsh printed. */
  output: string;
  /** That the guest may be frozen still, for a {@link GuestNotThawed} when all else is done. */
  notThawed: Issue | undefined;
}

/** What was to be done is done, but a guest has not answered the thaw within its limit. */
export class GuestNotThawed extends UserError {}

/** The last line that frozen.sh prints. */
const record = /\n?^frozen=(yes|no|refused|silent) thawed=(yes|no) within=\d+,(\d+)\n$/m;

/**
 * Runs a virsh command while the project disk's filesystem is frozen in the guest: nothing is being written to it and
 * all that was is on the disk. Whatever becomes of this process, the guest is thawed; and whatever its agent does, this
 * ends: see the limits in frozen.sh.
 *
 * @param command as virsh's own parser reads it
 * @param title of the error when another program works on the disk for too long
 */
export async function whileFrozen(
  shell: Shell,
  disk: ProjectDisk,
  command: string,
  title: string,
): Promise<FrozenAnswer> {
  const args = [disk.folder, shell.uri, disk.domain, mountpoint, command];
  return readFrozen(disk, await runScript(shell, "frozen.sh", args, title, { toTheEnd: true }));
}

/** Reads what frozen.sh prints. */
export function readFrozen(disk: ProjectDisk, printed: string): FrozenAnswer {
  const [line, frozen, thawed, seconds] = record.exec(printed) ?? [];
  if (line === undefined) throw new UserError(`${disk.domain}: freeze and thaw ended early: ${printed.trim()}`);
  return {
    wasFrozen: frozen === "yes",
    output: printed.slice(0, -line.length),
    notThawed: thawed === "no" ? notThawed(disk, Number(seconds)) : undefined,
  };
}

function notThawed({ domain, name }: ProjectDisk, seconds: number): Issue {
  return {
    path: domain,
    rule: `must thaw ${mountpoint} within ${seconds} s, but its guest's agent did not`,
    remedy: `in the guest: sudo fsfreeze --unfreeze ${mountpoint}, or restart it: project-vm restart ${name}`,
  };
}
