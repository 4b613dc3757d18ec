import { existsSync } from "node:fs";
import { link, open, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../core/errors.ts";
import { withLock } from "../core/lock.ts";
import { shellFor } from "../libvirt/shell.ts";
import { runBackup } from "./backup.ts";
import { sha512 } from "./digest.ts";
import { GuestNotThawed } from "./freeze.ts";
import { projectDisk, readDisk, type StorageHost } from "./project-disk.ts";

/** What a disk was exported to. */
export interface Exported {
  /** Absolute path on this machine; its SHA-512 is in the file of that name with `.sha512` behind it. */
  path: string;
  /** Bytes. */
  size: number;
}

/** Seconds to wait for another export to the same file. */
const lockSeconds = 10;

/**
 * Makes a backup of a project's disk as a file of this machine; its host keeps none of it. For the rest as
 * `createBackup`.
 *
 * @param file must not be there yet; while it is being written it is called `<file>.partial`
 * @throws UserError when the file is there, or what came from the host is not what was sent
 * @example await exportDisk(host, "myapp", "/home/me/myapp.qcow2", console.error)
 */
export async function exportDisk(
  host: StorageHost,
  project: string,
  file: string,
  log: (line: string) => void,
): Promise<Exported> {
  const disk = projectDisk(host, project);
  const target = path.resolve(file);
  const digestFile = `${target}.sha512`;
  for (const name of [target, digestFile]) refuseExisting(name);
  refuseNowhere(target);
  const shell = shellFor(host.uri);
  await readDisk(shell, disk);
  const partial = `${target}.partial`;
  return withLock(partial, lockSeconds, log, async () => {
    try {
      const { digest: sent, notThawed } = await receive(
        partial,
        (stdout, onLine) => runBackup(shell, disk, ["--stdout"], { onLine, stdout }),
        log,
      );
      const digest = await sha512(partial);
      if (digest !== sent) throw broken(target, sent, digest);
      await giveName(partial, target);
      await writeFile(digestFile, `${digest}  ${path.basename(target)}\n`, { mode: 0o600, flag: "wx" });
      if (notThawed) throw new GuestNotThawed(`${target} has the disk, but its guest may be frozen.`, notThawed.issues);
      return { path: target, size: (await stat(target)).size };
    } finally {
      await rm(partial, { force: true });
    }
  });
}

/** What a filesystem says that has no links, such as that of most USB sticks. */
const noLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];

/** Never takes the place of a file that has come meanwhile. */
async function giveName(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
  } catch (error) {
    refuseExisting(target);
    if (!noLinks.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    // What is there then is this one's own, and empty.
    await (await open(target, "wx", 0o600)).close();
    await rename(partial, target).catch(async (why: unknown) => {
      await rm(target, { force: true });
      throw why;
    });
  }
}

/** What came from a host. */
interface Received {
  /** As it was announced. */
  digest: string;
  /** All of it came, but the guest may be frozen. */
  notThawed: GuestNotThawed | undefined;
}

/** Writes what a run sends to a file that only its owner may read. */
async function receive(
  partial: string,
  send: (stdout: number, onLine: (line: string) => void) => Promise<unknown>,
  log: (line: string) => void,
): Promise<Received> {
  let digest = "";
  await rm(partial, { force: true });
  const file = await open(partial, "wx", 0o600);
  try {
    const sending = send(file.fd, (line) => {
      const announced = /^sha512 ([0-9a-f]{128})$/.exec(line)?.[1];
      if (announced) digest = announced;
      else log(line);
    });
    const notThawed = await sending.then(() => undefined, guestNotThawed);
    await file.sync();
    return { digest, notThawed };
  } finally {
    await file.close();
  }
}

function guestNotThawed(error: unknown): GuestNotThawed {
  if (error instanceof GuestNotThawed) return error;
  throw error;
}

function refuseExisting(file: string): void {
  if (!existsSync(file)) return;
  throw new UserError("Nothing was exported.", [
    {
      path: file,
      rule: "must not be there yet: nothing is overwritten",
      remedy: "choose another name, or move that file",
    },
  ]);
}

function refuseNowhere(file: string): void {
  const folder = path.dirname(file);
  if (existsSync(folder)) return;
  throw new UserError("Nothing was exported.", [
    { path: folder, rule: "must be a folder", remedy: "make it, or name another" },
  ]);
}

function broken(file: string, sent: string, received: string): UserError {
  return new UserError("Nothing was exported.", [
    {
      path: file,
      rule: `must have the SHA-512 ${sent.slice(0, 12)}… that its host sent, but has ${received.slice(0, 12)}…`,
      remedy: "try again; if it stays so, something between this machine and the host changes data",
    },
  ]);
}
