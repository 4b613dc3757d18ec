import { existsSync, constants as fileConstants, type Stats } from "node:fs";
import { type FileHandle, open, readlink, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { formatSize } from "../core/sizes.ts";
import { convertedByOwner, notByItself, parseHeader, readStart } from "../images/qcow2.ts";
import { takeInventory } from "../libvirt/inventory.ts";
import { type RunOptions, shellFor } from "../libvirt/shell.ts";
import { isLocal } from "../libvirt/virsh.ts";
import { sha512 } from "./digest.ts";
import { runScript } from "./host-script.ts";
import { type ProjectDisk, projectDisk, type StorageHost } from "./project-disk.ts";
import { usersOf } from "./users.ts";

/** An image to import, on this machine or already on the project's host. */
export interface ImageSource {
  file: string;
  onHost?: boolean;
}

/** A disk that was imported. */
export interface Imported {
  /** Absolute path on its host. */
  path: string;
  /** What a guest sees, in bytes. */
  size: number;
}

const title = "Nothing was imported.";

/**
 * Puts a backup, or another qcow2 image, as the disk of a project that has none on that host. The next `pulumi up` of
 * a stack with that project takes it up. The image itself stays as it is; its snapshots are not taken along.
 *
 * @throws UserError when the project has a disk or a VM there already; when the image is none, is corrupt, needs
 *   another file, or is not what the `.sha512` beside it says
 * @example await importDisk(host, "myapp", { file: "myapp.qcow2" }, console.error)
 */
export async function importDisk(
  host: StorageHost,
  project: string,
  source: ImageSource,
  log: (line: string) => void,
): Promise<Imported> {
  const disk = projectDisk(host, project);
  const refuseUsed = async () => {
    const users = usersOf(disk, await takeInventory({ ...host, virtualization: "emulated" }));
    if (users.length > 0) throw new UserError(title, users);
  };
  const size = source.onHost
    ? await refuseUsed().then(() => runScriptOn(disk, [source.file], log))
    : await withOwnFile(path.resolve(source.file), async (file) => {
        await refuseStranger(file);
        await refuseUsed();
        return isLocal(host.uri) ? runScriptOn(disk, [file.path], log) : stream(disk, file, log);
      });
  log(`${project}: imported, ${formatSize(size)}; the next \`pulumi up\` with its entry in the config takes it up`);
  return { path: disk.file, size };
}

/** Runs the script on the disk's host; it prints the size of what it has imported. */
async function runScriptOn(
  { name, host: { uri, storageDir } }: ProjectDisk,
  args: string[],
  onLine: (line: string) => void,
  options: Pick<RunOptions, "stdin"> = {},
): Promise<number> {
  const shell = shellFor(uri);
  const words = [name, storageDir, shell.uri, ...args];
  return Number(await runScript(shell, "import.sh", words, title, { ...options, onLine }));
}

/** To a host elsewhere a file of this machine is streamed. */
async function stream(disk: ProjectDisk, { path, held, size }: OwnFile, log: (line: string) => void): Promise<number> {
  const args = ["-", String(size), await checkedDigest(path, held), path];
  return runScriptOn(disk, args, log, { stdin: { file: held } });
}

/** A file of this machine that is open. */
interface OwnFile {
  /** Absolute, and its own. */
  path: string;
  /** By which it is read, whatever its path leads to by now. */
  held: string;
  /** Bytes. */
  size: number;
  /** Number of the user who alone may write to it; undefined: others may too. */
  owner?: number;
}

const refused = (path: string, rule: string, remedy: string) => new UserError(title, [{ path, rule, remedy }]);

/**
 * Opens a file for some work.
 *
 * @throws UserError when it is none, or reached by a link, or by a name that another user may have given it: who makes those need have
 *   no right to read the file
 */
async function withOwnFile<T>(file: string, work: (file: OwnFile) => Promise<T>): Promise<T> {
  const handle = await openFile(file);
  if (!handle) throw refused(file, "must be a file", "name a backup, or another qcow2 image");
  try {
    // Only Linux can say which file it is that was opened.
    const descriptor = `/proc/self/fd/${handle.fd}`;
    const held = existsSync(descriptor) ? descriptor : file;
    const own = await (held === descriptor ? readlink(descriptor) : realpath(file));
    const remedy = `name it by its own: ${own}`;
    if (own !== file) throw refused(file, "must be the path of the file itself, with no link in it", remedy);
    const found = await handle.stat();
    if (found.nlink > 1 && (othersMayWrite(found) || (await othersMayWriteAbove(file)))) {
      const rule = "must have no other name (a hard link), which another user may have made";
      throw refused(file, rule, "name a copy of it, if it is the file that you mean");
    }
    const isOwners = (found.mode & 0o022) === 0;
    return await work({ path: file, held, size: found.size, ...(isOwners ? { owner: found.uid } : {}) });
  } finally {
    await handle.close();
  }
}

/** Whether a user may who is neither root nor this one. */
const othersMayWrite = ({ uid, mode }: Stats) => ![0, process.getuid?.()].includes(uid) || (mode & 0o022) !== 0;

/** In any folder on the way to it: who can rename one can put another in its place. */
async function othersMayWriteAbove(file: string): Promise<boolean> {
  const folder = path.dirname(file);
  return othersMayWrite(await stat(folder)) || (folder !== file && othersMayWriteAbove(folder));
}

/** Undefined where there is none, or what is there is no file. A pipe that nobody writes to holds nothing up. */
async function openFile(file: string): Promise<FileHandle | undefined> {
  const handle = await open(file, fileConstants.O_RDONLY | fileConstants.O_NONBLOCK).catch((error) => {
    if (!["ENOENT", "ENOTDIR", "ENXIO"].includes(error.code))
      throw refused(file, `must be readable (${error.code})`, "see its rights");
    return undefined;
  });
  if (!handle || (await handle.stat()).isFile()) return handle;
  await handle.close();
  return undefined;
}

/** What can be told of a file before all of it has been sent to a host. The host looks again. */
async function refuseStranger({ path, held, owner }: OwnFile): Promise<void> {
  const header = parseHeader(readStart(held));
  if (!header) throw refused(path, "must be a qcow2 image", convertedByOwner("convert it", owner));
  const refusal = notByItself(header, owner);
  if (refusal) throw refused(path, refusal.rule, refusal.remedy);
}

/** How much of a file with a digest is read, in bytes. */
const digestLength = 128;

/** The digest of a file, once it is what the `.sha512` beside it says, if there is one. */
async function checkedDigest(file: string, held: string): Promise<string> {
  const digest = await sha512(held);
  const said = await digestBeside(`${file}.sha512`);
  if (said === undefined || said.toLowerCase() === digest) return digest;
  throw refused(file, `must have the SHA-512 that ${file}.sha512 says`, "copy it again: it was changed, or cut off");
}

async function digestBeside(file: string): Promise<string | undefined> {
  const handle = await openFile(file);
  if (!handle) {
    if (!existsSync(file)) return undefined;
    throw refused(file, "must be a file", "remove it, or put the image's digest in its place");
  }
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(digestLength), 0, digestLength, 0);
    return buffer.toString("latin1", 0, bytesRead).split(/\s/)[0];
  } finally {
    await handle.close();
  }
}
