import { hostName } from "../config/names.ts";
import { findRunningVm } from "./find-vm.ts";
import { runInForeground } from "./foreground.ts";
import { currentSshConfig } from "./ssh-targets.ts";

type Log = (line: string) => void;

/**
 * Logs in to a VM, or runs a command in it, over SSH.
 *
 * @param command its words, which ssh joins by blanks for the guest's shell; none: a shell
 * @returns ssh's exit code: the command's own, or 255 when there was no connection
 * @throws UserError when there is no such VM, or it does not run
 */
export async function sshTo(stack: string, name: string, command: string[], folder: string, log: Log): Promise<number> {
  const config = await currentSshConfig(await findRunningVm(stack, name, folder), log);
  return runInForeground("ssh", ["-F", config, "--", hostName(name), ...command]);
}
