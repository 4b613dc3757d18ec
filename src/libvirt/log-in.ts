import { setTimeout as delay } from "node:timers/promises";

/** How often a log-in is tried that an SSH server turns away, and the pause after the first one, in milliseconds; it grows. */
const attempts = 8;
const pause = 150;

/** What ssh says then, or is said for it. */
const turnedAway = /kex_exchange_identification|Not allowed at this time|^no log-in/;

/**
 * An SSH server that has too many log-ins going on turns some away (MaxStartups), before anything was asked or run: those are
 * made again, and any other failure is given on at once. https://man.openbsd.org/sshd_config#MaxStartups
 *
 * @param run is given the number of the attempt, from 1
 * @param reasonOf what ssh said; undefined for a failure that is none of ssh's
 */
export async function logInAgain<T>(
  run: (attempt: number) => Promise<T>,
  reasonOf: (error: unknown) => string | undefined,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(attempt);
    } catch (error) {
      if (attempt >= attempts || !turnedAway.test(reasonOf(error) ?? "")) throw error;
      // Not all of those that were turned away come back at the same moment.
      await delay((0.5 + Math.random()) * attempt * pause);
    }
  }
}
