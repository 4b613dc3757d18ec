/** A promise that is given up when its time is over; what it stands for has a limit of its own, and ends by itself. */
export function inTime<T>(work: Promise<T>, seconds: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), Math.max(0, seconds) * 1000);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
