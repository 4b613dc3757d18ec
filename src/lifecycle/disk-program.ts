import { factOf, UserError } from "../core/errors.ts";
import { printableLine } from "../core/printable.ts";
import type { Shell } from "../libvirt/shell.ts";
import { runScript } from "../project-disks/host-script.ts";

/** Seconds for qemu-img to answer. */
const answerSeconds = 60;

/**
 * Looks right before a project disk is deleted, with its VM off, for a program on it that libvirt does not know: qemu-nbd, guestmount, a
 * QEMU that was started by hand, a VM of a user's own libvirt.
 *
 * @returns what keeps the disk, as a fact: such a program, or that it cannot be known whether there is one; undefined: there is none
 */
export async function programOn(shell: Shell, file: string): Promise<string | undefined> {
  try {
    await runScript(shell, "no-program.sh", [file, String(answerSeconds)], "The project disk is not deleted.");
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [issue] = error.issues;
    if (issue?.path === file) return `it ${issue.rule}: ${issue.remedy}`;
    return `whether a program uses it is not known: ${issue ? factOf(issue) : printableLine(error.message)}`;
  }
}
