import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { usedBackend } from "./backend.ts";
import { readPulumiProject } from "./pulumi-files.ts";

/** A file that holds a state, or a copy of one. */
export interface StateFile {
  /** Absolute path. */
  file: string;
  /** In bytes. */
  size: number;
  /** When it was written, in milliseconds. */
  modified: number;
}

/** What a state's name may end in: the backend compresses it where PULUMI_DIY_BACKEND_GZIP or …_ZSTD has it so. */
const compressions = ["", ".gz", ".zst"];

/** What compressed files begin with. The engine goes by that, not by the name. */
const magic = { gzip: Buffer.from([0x1f, 0x8b]), zstd: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) };

/** The folder of a stack's kind of files in the backend that the engine uses; undefined where that is none of files. */
export function stateFolder(root: string, kind: "stacks" | "backups" | "history"): string | undefined {
  const { folder } = usedBackend(root);
  return folder === undefined ? undefined : path.join(folder, ".pulumi", kind, readPulumiProject(root).name);
}

/**
 * The file that holds the state of a stack. One that the backend wrote before, compressed otherwise, may still be beside it: what it
 * wrote last holds, by its own rule.
 *
 * @returns undefined where none is known here: the backend is no folder, or the stack was never begun, or was lost
 */
export async function checkpointFile(root: string, stack: string): Promise<StateFile | undefined> {
  const folder = stateFolder(root, "stacks");
  if (folder === undefined) return undefined;
  const names = compressions.map((ending) => path.join(folder, `${stack}.json${ending}`));
  const found = (await Promise.all(names.map(stateFile))).filter((file) => file !== undefined);
  return found.reduce<StateFile | undefined>(
    (best, file) => (best === undefined || file.modified >= best.modified ? file : best),
    undefined,
  );
}

/** @returns undefined where there is none */
export const stateFile = (file: string): Promise<StateFile | undefined> =>
  stat(file).then(
    ({ size, mtimeMs }) => ({ file, size, modified: mtimeMs }),
    () => undefined,
  );

/**
 * The text of a state.
 *
 * @throws Error when it cannot be read, is cut off where it is compressed, or is compressed by zstd, which Node 20 does not know
 */
export async function readCheckpoint(file: string): Promise<string> {
  return textOf(await readFile(file));
}

/** Whether a file holds all of a state, and not what a write that failed left of it; undefined: not known, as it cannot be read here. */
export async function isWhole(file: string): Promise<boolean | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  if (bytes === undefined || beginsWith(bytes, magic.zstd)) return undefined;
  try {
    const state: unknown = JSON.parse(await textOf(bytes));
    return typeof state === "object" && state !== null;
  } catch {
    return false;
  }
}

async function textOf(bytes: Buffer): Promise<string> {
  if (beginsWith(bytes, magic.zstd)) throw new Error("a state that is compressed by zstd is not read here");
  return (beginsWith(bytes, magic.gzip) ? await promisify(gunzip)(bytes) : bytes).toString();
}

const beginsWith = (bytes: Buffer, beginning: Buffer) => bytes.subarray(0, beginning.length).equals(beginning);
