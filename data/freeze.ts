import { UserError } from "../config/errors.ts";
import type { Shell } from "../host/shell.ts";
import { mountpoint, type ProjectDisk } from "./project-disk.ts";

/** What came of a command between freeze and thaw. */
export interface FrozenAnswer {
  /** Whether the guest's filesystem was frozen meanwhile. */
  wasFrozen: boolean;
  /** All that virsh printed. */
  output: string;
}

/**
 * One of ours at a time: who thaws, thaws also for the other. The command's errors are in what it prints.
 */
const script = 'flock "$1" virsh -c "$2" "$3" 2>&1 || :';

/**
 * Runs a virsh command while the project disk's filesystem is frozen in the guest: nothing is being written to it and
 * all that was is on the disk. Whatever becomes of this process, the guest is thawed.
 *
 * @param command as virsh's own parser reads it
 * @throws UserError when the guest could not be thawed
 */
export async function whileFrozen(shell: Shell, disk: ProjectDisk, command: string): Promise<FrozenAnswer> {
  const commands = frozenCommands(disk.domain, command);
  const argv = ["sh", "-c", script, "sh", disk.folder, shell.uri, commands];
  const output = await shell.run(argv, { toTheEnd: true });
  const answer = readFrozen(output);
  if (!answer.isThawed) throw stillFrozen(shell, disk);
  return { wasFrozen: answer.wasFrozen, output };
}

/**
 * All in one virsh process, in which no command waits for another's success. A thaw may come to nothing where an agent
 * has too much to do; where there is nothing left to thaw it does nothing.
 */
export function frozenCommands(domain: string, command: string): string {
  const thaw = `domfsthaw ${domain}`;
  return [`domfsfreeze ${domain} --mountpoint ${mountpoint}`, command, thaw, thaw, thaw].join("; ");
}

/** What virsh printed about freezing and thawing. */
export function readFrozen(output: string): { wasFrozen: boolean; isThawed: boolean } {
  const wasFrozen = /^Froze [1-9]/m.test(output);
  return { wasFrozen, isThawed: !wasFrozen || /^Thawed [1-9]/m.test(output) };
}

function stillFrozen(shell: Shell, { host, domain }: ProjectDisk): UserError {
  return new UserError(`The guest of ${domain} may still be frozen: its agent did not answer.`, [
    {
      path: domain,
      rule: `must be able to write to ${mountpoint}`,
      remedy: `on the host of ${host.uri}: virsh -c '${shell.uri}' domfsthaw ${domain}`,
    },
  ]);
}
