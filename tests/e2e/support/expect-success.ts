import { expect } from "vitest";

/** What a command printed, which goes into the failure when it did not do what it should. */
export function expectSuccess({ exitCode, all }: { exitCode?: number | undefined; all: string }): string {
  expect(exitCode, all).toBe(0);
  return all;
}
