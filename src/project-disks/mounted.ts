import { posix } from "node:path";
import { UserError } from "../core/errors.ts";
import { refusalIn } from "../core/script-refusal.ts";
import { ShellError, shellFor } from "../libvirt/shell.ts";
import { scriptText } from "./host-script.ts";
import type { StorageHost } from "./project-disk.ts";

/**
 * Looks whether projects' disks that are not seen may be on a disk of the host that is not mounted now. Where no program can be run, that
 * is not known, and no reason to refuse.
 *
 * @throws UserError of this title, naming the mount
 */
export async function requireMounted({ uri, storageDir }: StorageHost, unseen: string[], title: string): Promise<void> {
  if (unseen.length === 0) return;
  const places = unseen.map((project) => posix.join(storageDir, project));
  try {
    await shellFor(uri).run(["sh", "-c", scriptText("mounted.sh"), "mounted.sh", ...places]);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const away = error instanceof ShellError ? refusalIn(error.stderr) : undefined;
    if (away) throw new UserError(title, [away]);
  }
}
