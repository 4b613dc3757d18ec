import { fstatSync } from "node:fs";
import type { Readable } from "node:stream";
import { UserError } from "../core/errors.ts";
import { domainName } from "../core/names.ts";
import { formatSize } from "../core/sizes.ts";
import { type ExecBytes, GuestAgent } from "../guest/agent.ts";
import { mostErrors, mostOutput } from "../guest/capped-output.ts";
import { AgentError, agentSays } from "../guest/guest-refusal.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { findRunningVm, type OwnVm } from "./find-vm.ts";

/** The longest that a command may run, in seconds; who wants to watch one for longer has `ssh` and tmux. */
const longestRun = 24 * 3600;

/** The most that a program is given to read: an emulated guest's agent takes seconds for each 100 KiB, and does nothing else. */
const mostInput = 64 * 1024;

/** What a program in a guest is to do. */
export interface Run {
  command: string[];
  /** Whose login environment it has, and whose home it begins in. */
  user: string;
  /** What it reads from, if something was piped in. */
  stdin?: Stdin | undefined;
}

type Stdin = Readable & { fd: number };

/**
 * Runs a program in a guest through its agent, which needs no network, and waits for its end.
 *
 * @throws UserError when there is no such VM, it does not run, or its agent does not answer
 * @example (await execIn("local", "myapp", { command: ["nix", "--version"], user: "dev" }, process.cwd())).stdout.toString()
 */
export async function execIn(
  stack: string,
  name: string,
  { command, user, stdin }: Run,
  folder: string,
): Promise<ExecBytes> {
  const own = await findRunningVm(stack, name, folder);
  const agent = new GuestAgent(virshFor(own.outline.host.uri), domainName(name));
  if (!(await agent.answers())) throw noAgent(own);
  const input = stdin && (await pipedInput(stdin));
  try {
    return await agent.execBytes(asUser(user, command), longestRun, input);
  } catch (error) {
    // A guest that goes down in the middle takes the answer with it.
    if (!(error instanceof VirshError || error instanceof AgentError)) throw error;
    throw noAgent(own, agentSays(error));
  }
}

/**
 * What was piped into this program, or is redirected to it from a file. A terminal is not waited for, nor is a socket, which
 * programs leave open that start others and have nothing to say to them.
 *
 * @throws UserError when it is more than a guest can be given
 */
export async function pipedInput(stream: Stdin): Promise<Buffer | undefined> {
  const kind = fstatSync(stream.fd);
  if (!kind.isFIFO() && !kind.isFile()) return undefined;
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stream) {
    pieces.push(piece);
    size += piece.length;
    if (size > mostInput) throw tooMuchInput();
  }
  return Buffer.concat(pieces);
}

function tooMuchInput(): UserError {
  const remedy = "pipe it into `project-vm ssh`, or bring it there with `project-vm cp`";
  return new UserError("Nothing was run.", [{ path: "standard input", rule: "must be at most 64 KiB", remedy }]);
}

/** What is said where a program wrote more than a guest's agent can hand over. */
export function cutNotice(name: string): string {
  const limits = `${formatSize(mostOutput)} of output or ${formatSize(mostErrors)} of errors`;
  return `It wrote more than ${limits}: the rest is lost. Have all of it by project-vm ssh ${name} -- COMMAND, or write it to a file there, and project-vm cp it.`;
}

/** The words that run a program as a user who has just logged in; the program's own reach it as they are. Pure. */
export function asUser(user: string, command: string[]): [string, ...string[]] {
  const login = ["/bin/bash", "--login", "-c", 'cd && exec "$@"', "bash"];
  return ["/usr/bin/sudo", "--set-home", `--user=${user}`, "--", ...login, ...command];
}

function noAgent({ outline, vm }: OwnVm, said?: string): UserError {
  return new UserError(`The guest agent of ${vm.name} does not answer.`, [
    {
      path: vm.name,
      ...(said === undefined
        ? { rule: "must have a guest agent that answers (it may still be booting)" }
        : { rule: "must have a guest agent that answers", said }),
      remedy: `wait for it: project-vm start ${vm.name} --wait --stack ${outline.stack}; its console says more: project-vm logs ${vm.name}`,
    },
  ]);
}
