import { longestName, namePattern, namePrefix } from "./names.ts";
import { printable, printableLine, shortened } from "./printable.ts";

/*
 * What a stack's program and the steps of an update tell the command line about VMs. The only way there is the engine's log, which
 * under plain `pulumi` a person reads: so a record is a sentence there, and JSON on one line where the command line has asked for
 * that. Writer and reader are both here. No program reads a sentence.
 */

/** The environment variable by which the command line asks for records. Only what starts `pulumi` sets it: it is in no resource. */
export const recordsVariable = "PROJECT_VMS_RECORDS";

/** What must hold before a VM is called ready, in the order in which it is asked; the last ones side by side. */
export const stages = ["boot", "cloud-init", "disk", "network", "docker", "nix", "claude", "tailnet"] as const;
export type Stage = (typeof stages)[number];

/**
 * What an update does to a project: make a VM that its host does not have, change one that is there, adopt one that the state does
 * not have, remove one; `noted`: nothing yet, but something about it is worth knowing.
 */
export const changeKinds = ["new", "changed", "adopted", "removed", "noted"] as const;

/** What an update does to a project. */
export interface VmChange {
  project: string;
  kind: (typeof changeKinds)[number];
  /** The same for people, who see the project's name before it. @example "restart (cpus 2 to 4), data kept" */
  text: string;
}

const stageStates = ["waiting", "ok"] as const;

/** That a stage holds, or is still being waited for. */
export interface VmProgress {
  /** The guest's host name, which is its domain's. */
  guest: string;
  stage: Stage;
  state: (typeof stageStates)[number];
  /** Since the stage began. */
  seconds: number;
}

export type VmRecord = VmChange | VmProgress;

/** Takes a line of progress, with the record that it says in words, if it says one. */
export type ProgressLog = (line: string, progress?: VmProgress) => void;

/** A record for people. */
export function sentence(record: VmRecord): string {
  if ("kind" in record) return `${record.project}: ${record.text}`;
  const { guest, stage, state, seconds } = record;
  return `${guest}: ${state === "ok" ? `${stage} ok` : `waiting for ${stage}`}, ${seconds} s`;
}

/** All that is in records, in the order in which it is written. What a record begins with, nothing else that is printed does. */
const keys = ["project-vms", "project", "kind", "text", "guest", "stage", "state", "seconds"];
const begin = '{"project-vms":';
const atEnd = /\{"project-vms":.*\}$/gm;

/** Whatever is in a record, its line is plain ASCII: nothing on its way cuts it, escapes it or takes it for a colour. */
const unsafe = /[^\x20-\x7e]|</g;

/** A record as JSON on one line. */
export function encode(record: VmRecord): string {
  const json = JSON.stringify({ "project-vms": "kind" in record ? "change" : "progress", ...record }, keys);
  return json.replace(unsafe, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * The record that a line is as a whole; what would act on a terminal does nothing in it. A line that {@link encode} would have
 * written in any other way is none.
 */
export function decode(line: string): VmRecord | undefined {
  const record = line.startsWith(begin) ? recordIn(line) : undefined;
  if (record === undefined || encode(record) !== line) return undefined;
  return "kind" in record ? { ...record, text: printableLine(record.text) } : record;
}

function recordIn(line: string): VmRecord | undefined {
  const { project, kind, text, guest, stage, state, seconds } = parsed(line);
  if (isProject(project) && isOneOf(changeKinds, kind) && typeof text === "string") return { project, kind, text };
  const isProgress = isGuest(guest) && isOneOf(stages, stage) && isOneOf(stageStates, state) && isDuration(seconds);
  return isProgress ? { guest, stage, state, seconds } : undefined;
}

function parsed(line: string): Partial<Record<string, unknown>> {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

const isProject = (value: unknown): value is string =>
  typeof value === "string" && value.length <= longestName && new RegExp(namePattern).test(value);
const isGuest = (value: unknown): value is string =>
  typeof value === "string" && value.startsWith(namePrefix) && isProject(value.slice(namePrefix.length));
const isDuration = (value: unknown): value is number => typeof value === "number" && value >= 0;
const isOneOf = <Word extends string>(words: readonly Word[], value: unknown): value is Word =>
  (words as readonly unknown[]).includes(value);

/** A record as this process is to print it. One that could not be read again, for an odd name, is a sentence in any case. */
export function recordLine(record: VmRecord, environment: NodeJS.ProcessEnv = process.env): string {
  const line = encode(record);
  return environment[recordsVariable] === "1" && decode(line) ? line : sentence(record);
}

/** A text of the engine's for people, who read a sentence where a line of it is or ends with a record. */
export function readable(text: string): string {
  return text.replace(atEnd, (found) => {
    const record = decode(found);
    return record ? sentence(record) : found;
  });
}

/** The most that a program of ours prints of one line, in characters. At 64 KiB in a line Pulumi's command plugin waits for ever. */
const longestLine = 4096;

/**
 * A text as a program of ours prints it: {@link printable}, and no line is too long for the engine. A line of it that would be taken
 * for a record is none behind a blank.
 */
export function sayable(text: string): string {
  const lines = printable(text).split("\n");
  return lines.map((line) => shortened(decode(line) ? ` ${line}` : line, longestLine)).join("\n");
}
