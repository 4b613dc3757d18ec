import { type Dirent, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { ownFolder, usedBackend } from "./backend.ts";
import { isBlank } from "./pulumi-files.ts";

/** The files of attributes, `….attrs`, beside the states in a folder. */
export interface Attributes {
  files: string[];
  /** Those of them that an engine fails at. */
  empty: string[];
  /** The folders that could not be looked at. */
  unread: string[];
}

/** What the backend writes below `.pulumi`. In a home, Pulumi has its plugins and templates there too. */
const written = ["stacks", "locks", "history", "backups"];

/**
 * Removes the files of attributes that an engine under another URL of the backend wrote: all beside a checkout's own state, and in
 * the folder of another backend that is used here, which is for others as well, the empty ones.
 * No engine needs them. One that was killed while it wrote such a file leaves it empty, a power cut with NULs, and from then on each
 * command says only "failed to load checkpoint: EOF": `?metadata=skip` in the URL keeps the backend (fileblob of gocloud.dev, v0.46) from writing
 * them, not from reading one that is there, and an empty one would stay for ever. What this user may not remove stays.
 */
export function dropAttributes(root: string): void {
  const { folder } = usedBackend(root);
  const elsewhere = folder === undefined ? [] : attributesIn(folder).empty;
  for (const file of [...attributesIn(ownFolder(root)).files, ...elsewhere]) remove(file);
}

/**
 * Removes the note of a checkout's own backend of how its states are laid out, where it is empty: the engine writes it again and finds them.
 * It renames the note into place without a flush, and a power cut soon after that leaves nothing in it, or NULs. What this user may not remove stays.
 */
export function dropEmptyLayout(root: string): void {
  const file = emptyLayout(ownFolder(root));
  if (file !== undefined) remove(file);
}

/**
 * The note of how the states in a folder are laid out, where it is empty: each command of an engine fails at that.
 *
 * @param folder of a backend of files
 */
export function emptyLayout(folder: string): string | undefined {
  const file = path.join(folder, ".pulumi", "meta.yaml");
  return isEmpty(file) ? file : undefined;
}

/** @param folder of a backend of files */
export function attributesIn(folder: string): Attributes {
  const found: Attributes = { files: [], empty: [], unread: [] };
  look(path.join(folder, ".pulumi"), found, new Set(), (name) => written.includes(name));
  return found;
}

/** @param seen the real paths of the folders that were looked at: links may lead in a circle */
function look(folder: string, found: Attributes, seen: Set<string>, isEntered = (_: string) => true): void {
  try {
    const real = realpathSync(folder);
    if (seen.has(real)) return;
    seen.add(real);
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const place = path.join(folder, entry.name);
      if (isFolder(place, entry)) {
        if (isEntered(entry.name)) look(place, found, seen);
      } else if (entry.name.endsWith(".attrs")) {
        found.files.push(place);
        if (isEmpty(place)) found.empty.push(place);
      }
    }
  } catch (error) {
    // Nothing was written yet, or it is gone.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") found.unread.push(folder);
  }
}

/** The engine follows links too. One that leads where this user may not look is a folder that cannot be. */
function isFolder(place: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return statSync(place).isDirectory();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

function isEmpty(file: string): boolean {
  try {
    return statSync(file).size === 0 || isBlank(readFileSync(file, "latin1"));
  } catch {
    return false; // it is gone, or nothing that this user's engine reads
  }
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
