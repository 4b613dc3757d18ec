import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../config/errors.ts";
import { domainName, poolName } from "../config/names.ts";
import { GuestAgent } from "../guest/agent.ts";
import { refreshPool, volumesIn } from "../host/pool-volumes.ts";
import { type Virsh, VirshError, virshFor } from "../host/virsh.ts";
import { findRunningVm, findVm } from "./find-vm.ts";

/** A log that grows; it is read from an offset, in bytes. */
export interface GrowingLog {
  /** What is there from `offset` on, and where that ends. One that has become shorter began anew. */
  readFrom(offset: number): Promise<Piece>;
}

/** Of a log: letters may be cut in two at its ends. */
interface Piece {
  bytes: Buffer;
  end: number;
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
  const virsh = virshFor(outline.host.uri);
  return { readFrom: (offset) => readVolume(virsh, poolName(name), offset) };
}

/** What cloud-init printed in a guest that runs. */
export async function cloudInitLogOf(stack: string, name: string, folder: string): Promise<GrowingLog> {
  const { outline } = await findRunningVm(stack, name, folder);
  const agent = new GuestAgent(virshFor(outline.host.uri), domainName(name));
  return { readFrom: (offset) => readInGuest(agent, name, offset) };
}

/**
 * Prints a log.
 *
 * @param print is given pieces as they come, with their line breaks
 */
export async function printLog(log: GrowingLog, { lines, follow }: LogOptions, print: (text: string) => void) {
  const letters = new StringDecoder("utf8");
  const { bytes, end } = await log.readFrom(0);
  const text = letters.write(bytes);
  print(lines === undefined ? text : lastLines(text, lines));
  for (let at = end; follow; ) {
    await delay(pollMilliseconds);
    const more = await log.readFrom(at);
    const next = letters.write(more.bytes);
    if (next) print(next);
    at = more.end;
  }
}

/** The last lines of a text; a break at its very end begins no line. */
export function lastLines(text: string, count: number): string {
  const ends = text.endsWith("\n");
  const lines = (ends ? text.slice(0, -1) : text).split("\n");
  return lines.slice(-count).join("\n") + (ends ? "\n" : "");
}

/** A file in the pool, so that a remote host gives it too. */
async function readVolume(virsh: Virsh, pool: string, offset: number): Promise<Piece> {
  await refreshPool(virsh, pool);
  // One that was never started has printed nothing.
  if (!(await volumesIn(virsh, pool)).has("console.log")) return { bytes: Buffer.alloc(0), end: 0 };
  const info = await virsh.run("vol-info", "--bytes", "console.log", "--pool", pool);
  const size = Number(/^Capacity:\s*(\d+)/m.exec(info)?.[1] ?? 0);
  const from = size < offset ? 0 : offset;
  if (size === from) return { bytes: Buffer.alloc(0), end: size };
  const dir = await mkdtemp(path.join(tmpdir(), "console-"));
  try {
    const file = path.join(dir, "log");
    const range = ["--offset", String(from), "--length", String(size - from)];
    await virsh.run("vol-download", "console.log", file, "--pool", pool, ...range);
    return { bytes: Buffer.from((await readFile(file)).filter((byte) => byte !== carriageReturn)), end: size };
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function readInGuest(agent: GuestAgent, name: string, offset: number): Promise<Piece> {
  try {
    const script = 'tail -c "+$1" "$2" | base64 -w 0';
    const argv = ["/bin/sh", "-c", script, "sh", String(offset + 1), cloudInitLog] as const;
    const { stdout } = await agent.exec([...argv], answerSeconds);
    const bytes = Buffer.from(stdout, "base64");
    return { bytes, end: offset + bytes.length };
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    const rule = `must have a guest agent that answers (${error.reason})`;
    const remedy = `what the guest printed so far: project-vm logs ${name}`;
    throw new UserError(`The log of ${name} cannot be read in the guest.`, [{ path: name, rule, remedy }]);
  }
}
