import { isGone } from "../libvirt/virsh-answers.ts";
import { VirshError } from "../libvirt/virsh-error.ts";

/** What goes meanwhile goes once; more than a few times in a row is another failure. */
const mostTries = 5;

/**
 * Does again what failed because another process took something away between a look and an act: what an engine that was killed had
 * asked of libvirt last is still done, beside the next update. For what can be cut off at any point and done again.
 *
 * @throws what it throws by itself, and what still fails after five times
 */
export async function againIfGone(act: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await act();
    } catch (error) {
      const isTaken = error instanceof VirshError && error.isAnswer && isGone(error.reason);
      if (!isTaken || tries === mostTries) throw error;
    }
  }
}
