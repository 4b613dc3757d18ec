import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { consoleFolder } from "../core/names.ts";
import { type PoolXml, parseDomain, parsePool } from "./libvirt-xml.ts";
import { namesIn } from "./pool-volumes.ts";
import { type Shell, shellFor } from "./shell.ts";
import type { Virsh } from "./virsh.ts";

/** One of the files that a serial console's log consists of. */
interface LogFile {
  /** Absolute. */
  name: string;
  /** Bytes that are in it. */
  size: number;
  /** When it was written to last; of a rotated one that never changes again, so it tells it from all others. */
  modified: number;
}

/**
 * How far a reader has come: so many bytes into a rotated file that was written to last at that time or, without one, into the
 * file that came after the one that was.
 */
interface Position {
  modified?: number | undefined;
  after?: number | undefined;
  offset: number;
}

/** Bytes that are held in memory at once. */
const pieceSize = 8 * 2 ** 20;

/** Bytes that are looked through first for where the last lines begin; then twice as many, and so on. */
const searchSize = 2 ** 16;

/** How far back that is looked for, a line: what a guest prints may be one line without end. */
const longestLine = 16 * 2 ** 10;

/** How often it is tried again because the log was rotated meanwhile: a guest may print faster than it is read. */
const tries = 5;

const newline = 10;

/** Bytes, time and path of each file of a log; one may be rotated away just now. What may not be seen is not taken for none. */
const lookScript = `
stat "$1" 2>&1 >/dev/null | grep "Permission denied" >&2 && exit 1
for file in "$1" "$1".[0-9] "$1".[0-9][0-9]; do [ ! -f "$file" ] || stat -c "%s %.9Y %n" "$file" || :; done 2>/dev/null`;

/** So many bytes of a file from an offset on; none of one that was rotated away. */
const readScript = `
[ ! -e "$1" ] || [ -r "$1" ] || { echo "$1: Permission denied" >&2; exit 1; }
tail -c "+$2" "$1" 2>/dev/null | head -c "$3"`;

/** No file that is not a log's: what else is there stays, and the folder with it. */
const removeScript = `
set -e
[ -d "$1" ] || exit 0
rm -f "$1"/console.log "$1"/console.log.[0-9] "$1"/console.log.[0-9][0-9]
rmdir "$1"`;

/**
 * The file that a VM's console log is written to. It is in no pool's folder: a guest chooses what such a file begins with, libvirtd
 * looks into each file of a pool, as root, and opens what one names that begins as an image does. One that named a FIFO held up
 * the pool for good.
 *
 * @example consoleLogFile("/vms", "app") === "/vms/app.console/console.log"
 */
export const consoleLogFile = (storageDir: string, project: string) =>
  path.posix.join(folderOf(storageDir, project), "console.log");

const folderOf = (storageDir: string, project: string) => path.posix.join(storageDir, consoleFolder(project));

/** Makes the folder of a VM's console log, by libvirt: it makes the folder of a pool that is defined for this moment. */
export async function makeConsoleFolder(virsh: Virsh, storageDir: string, project: string): Promise<void> {
  const pool = consoleFolder(project);
  // One that was cut off may have left it.
  const isThere = namesIn(await virsh.run("pool-list", "--all", "--name")).includes(pool);
  if (!isThere) await virsh.run("pool-define-as", pool, "dir", "--target", folderOf(storageDir, project));
  try {
    await virsh.run("pool-build", pool);
  } finally {
    await virsh.run("pool-undefine", pool);
  }
}

/**
 * Whether a pool is one that {@link makeConsoleFolder} was killed over: it is stopped, and must stay so. Its folder holds what a guest
 * has printed, and no image that anything stands on.
 */
export const isConsolePool = ({ name, path: folder }: Pick<PoolXml, "name" | "path">, storageDir: string) =>
  name.endsWith(consoleFolder("")) && path.posix.normalize(folder) === path.posix.join(storageDir, name);

/** The same of a pool of which only the name is known; one that is gone by now is none. */
export async function holdsConsole(virsh: Virsh, pool: string, storageDir: string): Promise<boolean> {
  const xml = await virsh.run("pool-dumpxml", pool).catch(() => undefined);
  return xml !== undefined && isConsolePool(parsePool(xml), storageDir);
}

/**
 * Removes a VM's console log, and its folder.
 *
 * @throws ShellError when something else is in the folder
 * @throws UserError when this user may not do that there
 */
export async function removeConsoleLog(shell: Shell, storageDir: string, project: string): Promise<void> {
  await shell.run(["sh", "-c", removeScript, "sh", folderOf(storageDir, project)]);
}

/**
 * What a VM's serial console printed, over all its boots, as its host keeps it: `console.log` and, where virtlogd bounds it,
 * `console.log.0`, older, `console.log.1`, … It is read in pieces of bounded size, also while the guest prints.
 */
export class ConsoleLog {
  private position: Position = { offset: 0 };
  /** The look that a piece was made sure of with: the next piece needs no other. */
  private seen: LogFile[] | undefined;

  private readonly shell: Shell;
  private readonly file: string;

  /** @param file its path on the host */
  constructor(shell: Shell, file: string) {
    this.shell = shell;
    this.file = file;
  }

  /**
   * What is there at this moment, in pieces.
   *
   * @param lines how many of its end; those that have more than 16 KiB each are cut off at their beginning. All by default
   */
  async *last(lines?: number): AsyncGenerator<Buffer> {
    const { position, left } = await this.beginning(lines);
    this.position = position;
    for (let rest = left; rest > 0; ) {
      const piece = await this.next(rest);
      if (!piece) return;
      rest -= piece.length;
      yield piece;
    }
  }

  /** What has come since the last piece, none of it twice, also when the log was rotated meanwhile. */
  async *more(): AsyncGenerator<Buffer> {
    this.seen = undefined;
    for (;;) {
      const piece = await this.next(pieceSize);
      if (!piece) return;
      yield piece;
    }
  }

  /** One piece from the position on; undefined at the end. */
  private async next(atMost: number): Promise<Buffer | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const files = this.seen ?? (await this.look());
      this.seen = undefined;
      let { index, offset } = locate(files, this.position);
      // It was taken away: the next of that name is another one.
      if (!files[index]) this.position.offset = 0;
      for (; offset >= (files[index]?.size ?? 0); index += 1, offset = 0)
        if (index >= files.length - 1) return undefined;
      const { name, size } = files[index] as LogFile;
      const bytes = await this.read(name, offset, Math.min(atMost, pieceSize, size - offset));
      this.seen = await this.look();
      // A rotation gives another file that name.
      if (attempt < tries && !isSame(files, this.seen)) continue;
      if (bytes.length === 0) return undefined;
      this.position = positionAt(files, index, offset + bytes.length);
      return bytes;
    }
  }

  /** Where the last lines begin, and how many bytes they are. */
  private async beginning(lines?: number): Promise<{ position: Position; left: number }> {
    for (let attempt = 1; ; attempt += 1) {
      const files = await this.look();
      const total = files.reduce((sum, { size }) => sum + size, 0);
      const left = lines === undefined ? total : await this.sizeOfLast(files, lines, total);
      this.seen = await this.look();
      if (attempt < tries && !isSame(files, this.seen)) continue;
      let offset = total - left;
      let index = 0;
      for (; index < files.length - 1 && offset >= (files[index]?.size ?? 0); index += 1)
        offset -= files[index]?.size ?? 0;
      return { position: positionAt(files, index, offset), left };
    }
  }

  /** The bytes of the last lines of some files; a break at their very end begins no line. */
  private async sizeOfLast(files: LogFile[], lines: number, total: number): Promise<number> {
    const limit = Math.min(total, lines * longestLine);
    let passed = 0;
    let breaks = 0;
    for (const { name, size } of files.toReversed()) {
      for (let end = size; end > 0 && passed < limit; ) {
        const begin = Math.max(0, end - Math.min(pieceSize, Math.max(searchSize, passed)));
        const bytes = await this.read(name, begin, end - begin);
        for (let at = bytes.length - 1; at >= 0; at -= 1, passed += 1) {
          if (bytes[at] !== newline || passed === 0) continue;
          breaks += 1;
          if (breaks === lines) return passed;
        }
        end = begin;
      }
    }
    return limit;
  }

  /** Its files, the oldest first; none when the VM was never started. */
  private async look(): Promise<LogFile[]> {
    const found = await this.shell.run(["sh", "-c", lookScript, "sh", this.file]);
    const rows = [...found.matchAll(/^(\d+) ([\d.]+) (.*)$/gm)];
    const files = rows.map(([, size, modified, name = ""]) => ({
      name,
      size: Number(size),
      modified: Number(modified),
    }));
    return files.sort((a, b) => age(b.name) - age(a.name));
  }

  /** Bytes of a file; fewer, or none, when it was rotated away. */
  private async read(name: string, offset: number, length: number): Promise<Buffer> {
    const dir = await mkdtemp(path.join(tmpdir(), "console-"));
    try {
      const file = path.join(dir, "log");
      const piece = await open(file, "w");
      const words = ["sh", "-c", readScript, "sh", name, String(offset + 1), String(length)];
      await this.shell.run(words, { stdout: piece.fd }).finally(() => piece.close());
      return await readFile(file);
    } finally {
      await rm(dir, { recursive: true });
    }
  }
}

/**
 * A domain's console log, where its definition says that it is: one that was defined by an earlier version has it elsewhere, until
 * it is redefined.
 *
 * @returns undefined for a domain without one
 */
export async function consoleLogOn(virsh: Virsh, domain: string): Promise<ConsoleLog | undefined> {
  const { consoleLog } = parseDomain(await virsh.run("dumpxml", domain));
  return consoleLog === undefined ? undefined : new ConsoleLog(shellFor(virsh.uri), consoleLog);
}

/** How many files are newer than a file of a log. */
const age = (name: string) => Number(/\d+$/.exec(name)?.[0] ?? -1);

/** Whether a log was not rotated from one look to the next. */
const isSame = (before: LogFile[], now: LogFile[]) =>
  before.length === now.length && rotatedIn(before) === rotatedIn(now);

/** When the newest of the rotated files was written to last. */
const rotatedIn = (files: LogFile[]) => files.filter(({ name }) => age(name) >= 0).at(-1)?.modified;

function positionAt(files: LogFile[], index: number, offset: number): Position {
  const file = files[index];
  return file && age(file.name) >= 0
    ? { modified: file.modified, offset }
    : { after: files[index - 1]?.modified, offset };
}

/** Where a position is by now. What it was in may be gone: then it is where the oldest file begins. */
function locate(files: LogFile[], { modified, after, offset }: Position): { index: number; offset: number } {
  const times = files.map((file) => file.modified);
  const index = modified !== undefined ? times.indexOf(modified) : after !== undefined ? times.indexOf(after) + 1 : 0;
  const wasRotatedAway = index < 0 || (index === 0 && after !== undefined);
  // One that is shorter than what was read of it began again.
  if (wasRotatedAway || offset > (files[index]?.size ?? 0)) return { index: Math.max(0, index), offset: 0 };
  return { index, offset };
}
