import { posix } from "node:path";
import type { Log } from "../core/log.ts";
import { namePrefix } from "../core/names.ts";
import type { NamedFile } from "./backing-files.ts";
import { isConsolePool } from "./console-log.ts";
import { parsePool, parseVolume } from "./libvirt-xml.ts";
import { filePoolList, namesIn, oddNames, parseVolumes, refreshPool } from "./pool-volumes.ts";
import type { BatchVirsh, Virsh } from "./virsh.ts";
import type { Ask, BatchAnswer } from "./virsh-answers.ts";
import { isUnknownName, unanswered } from "./virsh-answers.ts";
import { VirshError } from "./virsh-error.ts";
import { virshInShell } from "./virsh-line.ts";

/** Files of a project's that are to be deleted, or written to. */
export interface OwnFiles {
  /** The domain that they are of. */
  domain: string;
  pool: string;
  /** Absolute paths in the pool's folder. */
  files: string[];
  /** Whether one of them holds data that would be lost: then libvirt reads all pools again, which stops one that it cannot read. */
  isData?: boolean;
  /** Whether only what stands on them counts: the disks that this program made for VMs, which stand on no such file, are not looked at. */
  onlyAbove?: boolean;
  /** Is given a line on each pool that libvirt stopped because it could not read it. */
  log?: Log;
}

/** A file that may be one of ours, or stand on one. */
export interface Suspect extends NamedFile {
  /** The volume that libvirt says to stand on it. */
  volume?: string;
  /** Whether this program made it for a VM: it stands on a base image, or on nothing, also when it was removed since it was named. */
  isVms?: boolean;
  /** What it means where it is ours, and where it stands on ours. */
  same: string;
  above: string;
}

/** What was found of who may use something. */
export interface Found {
  suspects: Suspect[];
  /** What is not known, as facts. */
  unknown: string[];
}

/** What every project has in its pool: it stands on a base image, or on nothing. */
const standsElsewhere = (pool: string, volume: string) =>
  pool.startsWith(namePrefix) && ["disk.qcow2", "seed.iso"].includes(volume);

/** What the volumes of all pools of files stand on. */
export async function lookAtPools(
  virsh: BatchVirsh,
  ask: Ask,
  own: OwnFiles,
): Promise<Found & { paths: Map<string, string> }> {
  const [all, active] = (await ask([filePoolList("--all"), filePoolList()])).map((list) => namesIn(answered(list)));
  const found: Found = { suspects: [], unknown: await lookAtStopped(ask, own, all ?? [], active ?? []) };
  const { tables, unread } = await listVolumes(virsh, ask, active ?? [], isReadAgain(own), own.log);
  const notKnown = (pool: string, why: string) =>
    found.unknown.push(`whether a volume of the pool ${pool} stands on it is not known: ${why}`);
  for (const [pool, why] of unread) notKnown(pool, why);
  const volumes = tables.flatMap(([pool, table]) => [...table].map(([name, path]) => ({ pool, name, path })));
  const paths = new Map(volumes.map(({ pool, name, path }) => [`${pool}/${name}`, path]));
  const others = volumes.filter(({ pool, name }) => !standsElsewhere(pool, name));
  const answers = await ask(others.map(({ pool, name }) => ["vol-dumpxml", name, "--pool", pool]));
  for (const [i, { ok, output }] of answers.entries()) {
    const { backingPath: path, backingFormat: format = "" } = ok ? parseVolume(output) : {};
    if (!path) continue;
    const volume = others[i]?.path ?? "";
    found.suspects.push({ volume, path, format, same: `${volume} stands on it`, above: `${path} stands on it` });
  }
  for (const [pool, why] of await unreadVolumes(ask, answers)) notKnown(pool, why);
  return { ...found, paths };
}

/** Those of other projects, and of consoles beside them, hold what this program has put there. */
async function lookAtStopped(ask: Ask, own: OwnFiles, all: string[], active: string[]): Promise<string[]> {
  const stopped = all.filter((pool) => !active.includes(pool) && !pool.startsWith(namePrefix));
  const answers = await ask(stopped.map((pool) => ["pool-dumpxml", pool]));
  const storageDir = posix.join(own.files[0] ?? "", "../..");
  return stopped
    .filter((_, i) => !answers[i]?.ok || !isConsolePool(parsePool(answers[i].output), storageDir))
    .map((pool) => `whether a volume of the pool ${pool} stands on it is not known: the pool is stopped`);
}

/** Those of other projects have no overlay of ours, unless that was put there on purpose; and others may be at work in them. */
const isReadAgain =
  ({ isData, onlyAbove }: OwnFiles) =>
  (pool: string) =>
    isData === true && !(onlyAbove && pool.startsWith(namePrefix));

/** The volumes of pools, once libvirt has read them again if it is to; and the pools that it could not read, with the reason. */
async function listVolumes(
  virsh: BatchVirsh,
  ask: Ask,
  pools: string[],
  readAgain: (pool: string) => boolean,
  log: Log = () => {},
) {
  const questions = (pool: string) => [...(readAgain(pool) ? [["pool-refresh", pool]] : []), ["vol-list", pool]];
  // One that hangs, as its server is away, takes the answers about all with it: then each is asked by itself.
  const answers: BatchAnswer[] = await ask(pools.flatMap(questions)).catch((error: unknown) => {
    reasonOf(error);
    return [];
  });
  const tables: [string, Map<string, string>][] = [];
  const unread: [string, string][] = [];
  for (const pool of pools) {
    const told = answers.splice(0, questions(pool).length);
    const list = told.at(-1);
    if (list?.ok && told.every(({ ok }) => ok)) tables.push([pool, parseVolumes(list.output)]);
    else {
      // Another process may be at work in it.
      const refreshed = readAgain(pool) ? refreshPool(virsh, pool) : Promise.resolve();
      const again = await refreshed.then(() => virsh.run("vol-list", pool)).then(parseVolumes, reasonOf);
      if (typeof again === "string") unread.push([pool, again]);
      else tables.push([pool, again]);
    }
  }
  if (unread.length === 0) return { tables, unread };
  // One that libvirt cannot read is stopped by that, and still there.
  const [left = [], active = []] = (await ask([filePoolList("--all"), filePoolList()])).map((list) =>
    namesIn(answered(list)),
  );
  const there = unread.filter(([pool]) => left.includes(pool));
  const stopped = there.filter(([pool]) => readAgain(pool) && !active.includes(pool));
  for (const [pool] of stopped) log(await startAgain(virsh, pool));
  return { tables, unread: there };
}

/** A pool is left as it was found. It was active, and what libvirt could not read may be readable by now. Returns what became of it. */
async function startAgain(virsh: Virsh, pool: string): Promise<string> {
  const failed = await virsh.run("pool-start", pool).then(() => undefined, reasonOf);
  const start = virshInShell(virsh.uri, "pool-start", pool);
  const became =
    failed === undefined
      ? "had stopped it; it was started again"
      : `has stopped it (${failed}); once it can be read, start it: ${start}`;
  return `the pool ${pool}: libvirt could not read it and ${became}`;
}

function reasonOf(error: unknown): string {
  if (error instanceof VirshError) return error.reason;
  throw error;
}

/** The volumes that are still there, of those that did not let themselves be seen, by their pools. */
async function unreadVolumes(ask: Ask, answers: BatchAnswer[]): Promise<[string, string][]> {
  const failed = answers.filter(({ ok }) => !ok);
  if (failed.length === 0) return [];
  const lists = await ask(failed.map(({ command }) => ["vol-list", command[3] ?? ""]));
  return failed.flatMap((answer, i): [string, string][] => {
    const { command, error } = answer;
    const [, name = "", , pool = ""] = command;
    const list = lists[i];
    if (!list?.ok) return [[pool, error]];
    const path = parseVolumes(list.output).get(name);
    if (path === undefined) return [];
    return [
      [pool, isUnknownName(answer) ? `${error} (in ${path.slice(0, path.lastIndexOf("/"))}: ${oddNames})` : error],
    ];
  });
}

/** @throws VirshError where that failed */
export function answered(answer: BatchAnswer | undefined): string {
  if (answer?.ok) return answer.output;
  throw unanswered(answer ?? { command: [], ok: false, output: "", error: "no answer" });
}
