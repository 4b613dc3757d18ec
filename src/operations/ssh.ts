import { hostName } from "../core/names.ts";
import { findRunningVm } from "./find-vm.ts";
import type { CommandLine } from "./foreground.ts";
import { currentSshConfig } from "./ssh-targets.ts";

/**
 * What logs in to a VM, or runs a command in it, over SSH, its address found out where it has changed. It ends as the command
 * does, and with 255 when there was no connection.
 *
 * @param command its words, which ssh joins by blanks for the guest's shell; none: a shell
 * @throws UserError when there is no such VM, or it does not run
 * @example await runInForeground(await sshLine("local", "myapp", ["uptime"], process.cwd(), console.error))
 */
export async function sshLine(
  stack: string,
  name: string,
  command: string[],
  folder: string,
  log: (line: string) => void,
): Promise<CommandLine> {
  const config = await currentSshConfig(await findRunningVm(stack, name, folder), log);
  return ["ssh", "-F", config, "--", hostName(name), ...command];
}
