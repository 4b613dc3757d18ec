import { domainName } from "../config/names.ts";
import { findRunningVm } from "./find-vm.ts";
import { runInForeground } from "./foreground.ts";

/**
 * Attaches the terminal to a VM's serial console, until Ctrl-].
 *
 * @param force whether to take it from whoever has it
 * @returns virsh's exit code
 */
export async function attachConsole(stack: string, name: string, force: boolean, folder: string): Promise<number> {
  const { outline } = await findRunningVm(stack, name, folder);
  const options = force ? ["--force"] : [];
  return runInForeground("virsh", ["-c", outline.host.uri, "console", domainName(name), ...options]);
}
