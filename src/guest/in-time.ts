/** A promise that is given up when its time is over; what it stands for has a limit of its own, and ends by itself. */
export function inTime<T>(work: Promise<T>, seconds: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), Math.max(0, seconds) * 1000);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/**
 * How long to wait before a guest is asked again, in milliseconds. Each question costs a process here and some of the guest's
 * own time, which an emulated one has little of: asked twice a second, a guest took a fifth of a core while it booted. Pure.
 */
export const pauseAfter = (waitedMilliseconds: number) => Math.min(3000, Math.max(300, waitedMilliseconds / 10));
