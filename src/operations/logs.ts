import { StringDecoder } from "node:string_decoder";
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../core/errors.ts";
import { domainName } from "../core/names.ts";
import { formatSize } from "../core/sizes.ts";
import { GuestAgent } from "../guest/agent.ts";
import { mostOutput } from "../guest/capped-output.ts";
import { AgentError, agentSays } from "../guest/guest-refusal.ts";
import { ConsoleLog, consoleLogFile, consoleLogOn } from "../libvirt/console-log.ts";
import { shellFor } from "../libvirt/shell.ts";
import { virshFor } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { findRunningVm, findVm } from "./find-vm.ts";

/** A log that grows. */
export interface GrowingLog {
  /** What is there, or the last lines of it, in pieces of bounded size: letters may be cut in two at their ends. */
  last(lines?: number): AsyncIterable<Buffer>;
  /** What has come since. */
  more(): AsyncIterable<Buffer>;
}

export interface LogOptions {
  /** How many lines of its end to begin with; undefined: all. */
  lines?: number | undefined;
  /** Goes on with what comes, until it is interrupted. */
  follow?: boolean | undefined;
}

/** What a terminal wants at the end of a line, and nobody else. */
const carriageReturn = 13;

/** How often a log is looked at for more, in milliseconds. */
const pollMilliseconds = 1000;

/** How long the guest may take to give a piece of a log, in seconds. */
const answerSeconds = 30;

/** The log of the first boot in the guest. */
const cloudInitLog = "/var/log/cloud-init-output.log";

/** What a VM's serial console printed, over all its boots; its host keeps it also while the VM is off. */
export async function consoleLogOf(stack: string, name: string, folder: string): Promise<GrowingLog> {
  const { outline } = await findVm(stack, name, folder);
  const { uri, storageDir } = outline.host;
  const log = await consoleLogOn(virshFor(uri), domainName(name));
  return log ?? new ConsoleLog(shellFor(uri), consoleLogFile(storageDir, name));
}

/** What cloud-init printed in a guest that runs. */
export async function cloudInitLogOf(stack: string, name: string, folder: string): Promise<GrowingLog> {
  const { outline } = await findRunningVm(stack, name, folder);
  return logInGuest(new GuestAgent(virshFor(outline.host.uri), domainName(name)), name);
}

/**
 * Prints a log.
 *
 * @param print is given pieces as they come, with their line breaks
 */
export async function printLog(log: GrowingLog, { lines, follow }: LogOptions, print: (text: string) => void) {
  const letters = new StringDecoder("utf8");
  const printAll = async (pieces: AsyncIterable<Buffer>) => {
    for await (const piece of pieces) print(letters.write(piece.filter((byte) => byte !== carriageReturn) as Buffer));
  };
  await printAll(log.last(lines));
  while (follow) {
    await delay(pollMilliseconds);
    await printAll(log.more());
  }
}

/** The last lines of a text; a break at its very end begins no line. */
export function lastLines(text: string, count: number): string {
  const ends = text.endsWith("\n");
  const lines = (ends ? text.slice(0, -1) : text).split("\n");
  return lines.slice(-count).join("\n") + (ends ? "\n" : "");
}

/** The log of cloud-init as a guest's agent gives it: all that is there from an offset on comes at once. */
export function logInGuest(agent: GuestAgent, name: string): GrowingLog {
  let end = 0;
  async function* more() {
    const bytes = await readInGuest(agent, name, end);
    end += bytes.length;
    yield bytes;
  }
  async function* last(lines?: number) {
    for await (const bytes of more()) {
      // As bytes: a letter may be cut in two at their end.
      yield lines === undefined ? bytes : Buffer.from(lastLines(bytes.toString("latin1"), lines), "latin1");
    }
  }
  return { last, more };
}

async function readInGuest(agent: GuestAgent, name: string, offset: number): Promise<Buffer> {
  const script = 'tail -c "+$1" "$2" | base64 -w 0';
  const argv = ["/bin/sh", "-c", script, "sh", String(offset + 1), cloudInitLog] as const;
  const { stdout, isCut } = await askForLog(name, () => agent.execBytes([...argv], answerSeconds));
  if (isCut) throw tooLong(name);
  return Buffer.from(stdout.toString("latin1"), "base64");
}

/** Base64 is a third longer than what it is of. */
function tooLong(name: string): UserError {
  const rule = `must have at most ${formatSize((mostOutput / 4) * 3)} to be handed over by its guest agent`;
  const remedy = `its end: project-vm exec ${name} -- tail -n 100 ${cloudInitLog}; all of it: project-vm ssh ${name} -- sudo cat ${cloudInitLog}`;
  return new UserError(`The log of ${name} cannot be read in the guest.`, [{ path: cloudInitLog, rule, remedy }]);
}

async function askForLog<Answer>(name: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof VirshError || error instanceof AgentError)) throw error;
    const rule = "must have a guest agent that answers";
    const said = agentSays(error);
    const remedy = `what the guest printed so far: project-vm logs ${name}`;
    throw new UserError(`The log of ${name} cannot be read in the guest.`, [{ path: name, rule, said, remedy }]);
  }
}
