import { UserError } from "../src/core/errors.ts";

/** What came of waiting for several VMs: those that became ready, and why the others did not. */
export interface ReadyOnes<Vm> {
  ready: Vm[];
  failures: Error[];
}

/** Waits for all of them: one guest that does not become ready, whether it cannot or will not, keeps no other from being used. */
export async function readyOnes<Vm>(waits: Promise<Vm>[]): Promise<ReadyOnes<Vm>> {
  const results = await Promise.allSettled(waits);
  return {
    ready: results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    failures: results.flatMap((result) => (result.status === "rejected" ? [result.reason as Error] : [])),
  };
}

/** @throws UserError with why each of those that are not ready is not */
export function requireAllReady({ failures }: Pick<ReadyOnes<unknown>, "failures">): void {
  const bug = failures.find((error) => !(error instanceof UserError));
  if (bug) throw bug;
  if (failures.length > 0) throw new UserError(failures.map(({ message }) => message).join("\n"));
}
