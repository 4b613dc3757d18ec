import { UserError } from "../config/errors.ts";
import { domainName } from "../config/names.ts";
import { type ExecResult, GuestAgent } from "../guest/agent.ts";
import { VirshError, virshFor } from "../host/virsh.ts";
import { findRunningVm, type OwnVm } from "./find-vm.ts";

/** The longest that a command may run, in seconds; who wants to watch one for longer has `ssh` and tmux. */
const longestRun = 24 * 3600;

/**
 * Runs a program in a guest through its agent, which needs no network, and waits for its end.
 *
 * @param user whose login environment it has, and whose home it begins in
 * @throws UserError when there is no such VM, it does not run, or its agent does not answer
 * @example (await execIn("local", "myapp", ["nix", "--version"], "dev", process.cwd())).stdout
 */
export async function execIn(
  stack: string,
  name: string,
  command: string[],
  user: string,
  folder: string,
): Promise<ExecResult> {
  const own = await findRunningVm(stack, name, folder);
  const agent = new GuestAgent(virshFor(own.outline.host.uri), domainName(name));
  if (!(await agent.answers())) throw noAgent(own);
  try {
    return await agent.exec(asUser(user, command), longestRun);
  } catch (error) {
    // A guest that goes down in the middle takes the answer with it.
    if (!(error instanceof VirshError)) throw error;
    throw noAgent(own, error.reason);
  }
}

/** The words that run a program as a user who has just logged in; the program's own reach it as they are. Pure. */
export function asUser(user: string, command: string[]): [string, ...string[]] {
  const login = ["/bin/bash", "--login", "-c", 'cd && exec "$@"', "bash"];
  return ["/usr/bin/sudo", "--set-home", `--user=${user}`, "--", ...login, ...command];
}

function noAgent({ outline, vm }: OwnVm, reason = "it may still be booting"): UserError {
  return new UserError(`The guest agent of ${vm.name} does not answer.`, [
    {
      path: vm.name,
      rule: `must have a guest agent that answers (${reason})`,
      remedy: `wait for it: project-vm start ${vm.name} --wait --stack ${outline.stack}; its console says more: project-vm logs ${vm.name}`,
    },
  ]);
}
