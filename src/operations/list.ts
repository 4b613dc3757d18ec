import { type Outline, readOutline } from "../checkout/outline.ts";
import { readStackState } from "../checkout/stack-state.ts";
import type { SshTarget } from "../guest/ssh-target.ts";
import { lookAtVms } from "./look-at-vms.ts";
import { hasNoLease, type VmRow, vmRows } from "./rows.ts";
import { wantedBackups } from "./wanted-backups.ts";

/** What a list of several stacks came to. */
export interface StackList {
  rows: VmRow[];
  /** Why a stack is not in it: its host does not answer, or its config has mistakes. */
  failures: { stack: string; error: Error }[];
}

/**
 * The projects of a stack and of its host.
 *
 * @throws UserError when there is no such stack, or its host does not answer
 */
export async function listVms(stack: string, folder: string): Promise<VmRow[]> {
  const outline = await readOutline(stack, folder);
  const [found, state, backups] = await Promise.all([
    lookAtVms(outline.host),
    readStackState(outline.root, stack),
    wantedBackups(outline),
  ]);
  const targets = found.vms.some(hasNoLease) ? await targetsOf(outline) : [];
  return vmRows(outline, found, { inState: state?.vms ?? [], backups, targets });
}

/** Loaded only now: most VMs have a lease. */
async function targetsOf(outline: Outline): Promise<SshTarget[]> {
  const { sshTargets } = await import("./ssh-targets.ts");
  return sshTargets(outline);
}

/** The same of several stacks, side by side; one that cannot be listed holds nobody up. */
export async function listStacks(stacks: string[], folder: string): Promise<StackList> {
  const lists = await Promise.allSettled(stacks.map((stack) => listVms(stack, folder)));
  return {
    rows: lists.flatMap((list) => (list.status === "fulfilled" ? list.value : [])),
    failures: lists.flatMap((list, i) =>
      list.status === "rejected" ? [{ stack: stacks[i] ?? "", error: list.reason as Error }] : [],
    ),
  };
}
