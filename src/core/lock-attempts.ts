import { rmdirSync, statSync } from "node:fs";
import { lock } from "proper-lockfile";

/** How often a holder renews the time of its lock, and after how long without that it is dead, in milliseconds. */
const update = 5_000;
const stale = 15_000;

/** Between two attempts of who waits, in milliseconds. */
export const pollTime = 500;

/**
 * Attempts at a lock, `<path>.lock`, which are repeated until one takes it. A lock is dead whose time did not change while it was waited
 * for, by this machine's monotonic clock. The wall clock alone does not tell: it may have been set back since the holder was killed, or have
 * jumped ahead, as after a suspend, before a living holder could renew anything. By a time that is old there too, it is enough that
 * two renewals did not come.
 */
export class LockAttempts {
  private seen: { mark: string; since: number } | undefined;
  /** Whether a living holder has been seen at work. */
  hasMoved = false;

  private readonly target: string;
  private readonly onCompromised: (() => void) | undefined;

  /** @param onCompromised hears of another process that took over the lock while this one held it */
  constructor(target: string, onCompromised?: () => void) {
    this.target = target;
    this.onCompromised = onCompromised;
  }

  /**
   * Takes the lock, also one that by now is known to be dead.
   *
   * @returns what releases it; undefined: another process holds it
   */
  async next(): Promise<(() => Promise<void>) | undefined> {
    // What is stale is found out here, by more than a time.
    const options = { realpath: false, stale: Number.POSITIVE_INFINITY, update, lockfilePath: this.file };
    const { onCompromised } = this;
    try {
      return await lock(this.target, { ...options, ...(onCompromised ? { onCompromised } : {}) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
    }
    return this.removeDead() ? this.next() : undefined;
  }

  private get file(): string {
    return `${this.target}.lock`;
  }

  private removeDead(): boolean {
    const found = statSync(this.file, { throwIfNoEntry: false });
    if (found === undefined) return true;
    const mark = `${found.ino} ${found.mtimeMs}`;
    if (mark !== this.seen?.mark) {
      this.hasMoved = this.seen !== undefined;
      this.seen = { mark, since: performance.now() };
      return false;
    }
    const unchanged = performance.now() - this.seen.since;
    const isOld = found.mtimeMs < Date.now() - stale;
    if (unchanged < (isOld ? 2 * update : stale + update)) return false;
    removeFolder(this.file); // at once after the look, so that it is not one that was taken meanwhile
    return true;
  }
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // another process was first
  }
}
