import { open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../config/errors.ts";
import { formatSize } from "../config/sizes.ts";
import { takeInventory } from "../host/inventory.ts";
import { shellFor } from "../host/shell.ts";
import { isLocal } from "../host/virsh.ts";
import { headerLength, notByItself, parseHeader } from "../images/qcow2.ts";
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
  const file = source.onHost ? source.file : path.resolve(source.file);
  if (!source.onHost) await refuseStranger(file);
  const users = usersOf(disk, await takeInventory({ ...host, virtualization: "emulated" }));
  if (users.length > 0) throw new UserError(title, users);
  const size = await runImport(disk, { ...source, file }, log);
  log(`${project}: imported, ${formatSize(size)}; the next \`pulumi up\` with its entry in the config takes it up`);
  return { path: disk.file, size };
}

/** A file of a host elsewhere is streamed to it. */
async function runImport(
  disk: ProjectDisk,
  { file, onHost }: ImageSource,
  onLine: (line: string) => void,
): Promise<number> {
  const { uri, storageDir } = disk.host;
  const shell = shellFor(uri);
  const args = [disk.name, storageDir, shell.uri];
  if (onHost || isLocal(uri)) return Number(await runScript(shell, "import.sh", [...args, file], title, { onLine }));
  const { size } = await stat(file);
  const stream = [...args, "-", String(size), await checkedDigest(file), file];
  return Number(await runScript(shell, "import.sh", stream, title, { stdin: { file }, onLine }));
}

/** What can be told of a file before all of it has been sent to a host. The host looks again. */
async function refuseStranger(file: string): Promise<void> {
  const refuse = (rule: string, remedy: string) => new UserError(title, [{ path: file, rule, remedy }]);
  const start = await readStart(file);
  if (!start) throw refuse("must be a file", "name a backup, or another qcow2 image");
  const header = parseHeader(start);
  if (!header) throw refuse("must be a qcow2 image", "convert it: qemu-img convert -O qcow2");
  const refusal = notByItself(header);
  if (refusal) throw refuse(refusal.rule, refusal.remedy);
}

async function readStart(file: string): Promise<Buffer | undefined> {
  if (!(await stat(file).catch(() => undefined))?.isFile()) return undefined;
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headerLength), 0, headerLength, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The digest of a file, once it is what the `.sha512` beside it says, if there is one. */
async function checkedDigest(file: string): Promise<string> {
  const digest = await sha512(file);
  const said = await readFile(`${file}.sha512`, "utf8").catch(() => undefined);
  if (said === undefined || said.split(/\s/)[0]?.toLowerCase() === digest) return digest;
  throw new UserError(title, [
    {
      path: file,
      rule: `must have the SHA-512 that ${file}.sha512 says`,
      remedy: "copy it again: it was changed, or cut off",
    },
  ]);
}
