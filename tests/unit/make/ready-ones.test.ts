import { expect, test } from "vitest";
import { readyOnes, requireAllReady } from "../../../make/ready-ones.ts";
import { NotReadyError } from "../../../src/guest/ready.ts";

test("a guest that does not become ready keeps no other from being used, and is told of", async () => {
  const failure = new NotReadyError("project-hostile", "boot", 180, "the guest agent did not answer", "");
  const late = new Promise<string>((resolve) => setTimeout(() => resolve("late"), 20));
  const found = await readyOnes([Promise.resolve("early"), Promise.reject(failure), late]);
  expect(found).toEqual({ ready: ["early", "late"], failures: [failure] });
  expect(() => requireAllReady(found)).toThrow(
    /^project-hostile is not ready: stage boot failed after 180 s:\n {2}\| the guest agent did not answer\n/,
  );
  expect(() => requireAllReady({ failures: [] })).not.toThrow();
  const bug = new TypeError("a bug");
  expect(() => requireAllReady({ failures: [failure, bug] })).toThrow(bug);
});
