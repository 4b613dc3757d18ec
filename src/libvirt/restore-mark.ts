import { type Issue, UserError } from "../core/errors.ts";
import { poolName } from "../core/names.ts";
import { namesIn, refreshPool, volumesIn } from "./pool-volumes.ts";
import type { Virsh } from "./virsh.ts";
import { VirshError } from "./virsh-error.ts";

/** The mark of a restore beside a project disk, as restore.sh writes it; the snapshot's name is its end. */
const mark = /^project\.qcow2\.restoring\.(.+)$/;

/** Whether a file beside a project disk is the mark of a restore. */
export const isRestoreMark = (name: string) => mark.test(name);

/**
 * The issue of a project disk whose restore was cut off, by the names of the files beside it; undefined: it was not. Its
 * contents may be half of one state and half of another, and whatever is written then changes its snapshots.
 *
 * @example unfinishedRestore("webapp", ["project.qcow2", "project.qcow2.restoring.first"])?.remedy
 */
export function unfinishedRestore(project: string, files: Iterable<string>): Issue | undefined {
  const names = [...files];
  const snapshot = names.map((name) => mark.exec(name)?.[1]).find(Boolean);
  if (snapshot === undefined || !names.includes("project.qcow2")) return undefined;
  return {
    path: `the project disk of ${project}`,
    rule: `must first be restored to its snapshot ${snapshot}: that restore was cut off, or has not ended yet`,
    remedy: `restore it again: project-vm snapshot restore ${project} ${snapshot} (it names another way, should that snapshot be gone)`,
  };
}

/**
 * Right before a VM is started or defined. A pool that is stopped is started for that.
 *
 * @throws UserError when a restore of its project disk was cut off, or its pool is not there to show that; VirshError when that cannot
 *   be read
 */
export async function requireNoRestore(virsh: Virsh, project: string): Promise<void> {
  const pool = poolName(project);
  const pools = async (...which: string[]) => namesIn(await virsh.run("pool-list", "--name", ...which));
  if (!(await pools()).includes(pool)) {
    if (!(await pools("--all")).includes(pool))
      throw unseen(project, `is not on ${virsh.uri} any more`, "define it again: project-vm doctor --fix");
    await virsh.run("pool-start", pool).catch((error: unknown) => {
      if (!(error instanceof VirshError)) throw error;
      throw unseen(
        project,
        `does not start (${error.reason})`,
        `mend that, then start it: virsh -c '${virsh.uri}' pool-start ${pool}`,
      );
    });
  }
  await refreshPool(virsh, pool);
  const issue = unfinishedRestore(project, (await volumesIn(virsh, pool)).keys());
  if (issue) throw notStarted(project, issue);
}

const notStarted = (project: string, issue: Issue) => new UserError(`The VM of ${project} is not started.`, [issue]);

function unseen(project: string, why: string, remedy: string): UserError {
  const rule = `must show whether a restore of the project disk of ${project} was cut off, but ${why}`;
  return notStarted(project, { path: `the pool ${poolName(project)}`, rule, remedy });
}
