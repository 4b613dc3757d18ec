import { UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { ShellError, shellFor } from "../libvirt/shell.ts";
import { answerOrNone, hostUnreachable } from "../libvirt/unreachable.ts";
import { type Virsh, virshFor, virshSession } from "../libvirt/virsh.ts";
import { VirshError } from "../libvirt/virsh-error.ts";
import { requireOwnDisks } from "./domain-look.ts";
import { runScript } from "./host-script.ts";
import type { ProjectDisk } from "./project-disk.ts";

/** How a project's VM is. */
export interface DomainState {
  /** `active` is whatever has a process that uses the disks: running, paused or suspended. */
  state: "active" | "off" | "none";
  /** Its memory was saved when it was stopped; the disk must then be as it was at that moment. */
  hasSavedMemory: boolean;
}

/** @throws UserError when the host does not answer */
export async function domainState({ host, domain }: ProjectDisk): Promise<DomainState> {
  const lists = [
    ["list", "--all", "--name"],
    ["list", "--name"],
    ["list", "--all", "--name", "--with-managed-save"],
  ];
  const answers = await virshSession(host.uri, lists).catch((error: unknown) => {
    throw error instanceof VirshError ? hostUnreachable(host.uri, error.reason) : error;
  });
  const failed = answers.find(({ ok }) => !ok);
  if (failed) throw new VirshError(host.uri, failed.command, undefined, failed.error);
  const [isThere, isActive, hasSavedMemory] = answers.map(({ output }) => output.split("\n").includes(domain));
  return { state: isActive ? "active" : isThere ? "off" : "none", hasSavedMemory: hasSavedMemory ?? false };
}

/**
 * @throws UserError when a project's VM, on or off, has another file in the place of its disk, such as a snapshot's overlay; where there
 *   is no VM, when such an overlay stands on it
 */
export async function requireOwnDisk({ host, name, file, domain }: ProjectDisk, { state }: DomainState): Promise<void> {
  if (state !== "none") {
    await requireOwnDisks(virshFor(host.uri), name, { vdb: file });
    return;
  }
  const shell = shellFor(host.uri);
  await runScript(shell, "own-disk.sh", [file, domain, shell.uri, "60"], "Nothing was done with the project disk.");
}

/** @throws UserError when a VM would go on from a moment that its disk has left */
export function refuseSavedMemory({ host, domain }: ProjectDisk, { hasSavedMemory }: DomainState): void {
  if (!hasSavedMemory) return;
  throw new UserError("The project disk is not changed.", [
    {
      path: domain,
      rule: "must not have saved memory, which fits only the disk as it is",
      remedy: `start it and shut it down, or give that memory up: virsh -c '${host.uri}' managedsave-remove ${domain}`,
    },
  ]);
}

/**
 * Looks before a guest is shut down for a restore that restore.sh would then refuse.
 *
 * @throws UserError when libvirt has checkpoints of a VM's project disk, which no restore goes past
 */
export async function refuseCheckpoints(virsh: Virsh, { domain }: ProjectDisk): Promise<void> {
  // Not every driver of libvirt has them.
  const list = await answerOrNone(virsh.run("checkpoint-list", domain, "--name"));
  for (const name of list.split("\n").filter(Boolean)) {
    const xml = await answerOrNone(virsh.run("checkpoint-dumpxml", domain, name, "--no-domain"));
    if (!isOnProjectDisk(xml)) continue;
    throw new UserError("The snapshot was not restored.", [
      {
        path: domain,
        rule: "must have no checkpoints of libvirt, which keep bitmaps in its disk: no restore goes past them",
        remedy: `remove them while it runs: virsh -c '${virsh.uri}' checkpoint-delete ${domain} ${shellWord(name)}`,
      },
    ]);
  }
}

/** Whether a checkpoint has a bitmap in the project disk, or libvirt does not tell. One of a time before that disk does not name it. */
function isOnProjectDisk(checkpoint: string): boolean {
  if (!checkpoint.includes("<domaincheckpoint>")) return true;
  const [disk] = /<disk\s[^>]*\bname='vdb'[^>]*>/.exec(checkpoint) ?? [];
  return disk !== undefined && !disk.includes("checkpoint='no'");
}

/** What qemu-img says of a disk that somebody uses, as the user's matter; every other error as it is. */
export function explainLock(error: unknown, disk: ProjectDisk): unknown {
  if (!(error instanceof ShellError)) return error;
  if (!/Failed to get .*lock/.test(error.stderr)) return error;
  return new UserError("The project disk is in use.", [
    {
      path: disk.file,
      rule: "must not be used by another program meanwhile: a backup, or a VM that was just started",
      remedy: "wait until that has ended, and try again",
    },
  ]);
}
