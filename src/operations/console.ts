import { domainName } from "../core/names.ts";
import { findRunningVm } from "./find-vm.ts";
import type { CommandLine } from "./foreground.ts";

/**
 * What attaches a terminal to a VM's serial console, until Ctrl-].
 *
 * @param force whether to take it from whoever has it
 * @throws UserError when there is no such VM, or it does not run
 */
export async function consoleLine(stack: string, name: string, force: boolean, folder: string): Promise<CommandLine> {
  const { outline } = await findRunningVm(stack, name, folder);
  const options = force ? ["--force"] : [];
  return ["virsh", "-c", outline.host.uri, "console", domainName(name), ...options];
}
