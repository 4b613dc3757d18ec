import { expect, test } from "vitest";
import { describeKill, randomKill, verbs } from "../../e2e/support/random-kills.ts";
import { Random } from "../../e2e/support/sweep-random.ts";

const kills = (seed: number) => {
  const random = new Random(seed);
  return Array.from({ length: 200 }, (_, i) => randomKill(random, verbs[i % verbs.length] ?? "up"));
};

test("the same seed makes the same kills, another one others", () => {
  expect(kills(1)).toEqual(kills(1));
  expect(kills(1)).not.toEqual(kills(2));
});

test("they hit the engine alone and its group; only what writes is killed by its writes", () => {
  expect(new Set(kills(1).map(({ victim }) => victim))).toEqual(new Set(["engine", "group"]));
  const byWrites = kills(1).filter(({ by }) => by === "writes");
  expect(new Set(byWrites.map(({ verb }) => verb))).toEqual(new Set(["up", "destroy"]));
});

test.each([
  ["time", 0, "up, engine killed after 0.00 s"],
  ["time", 0.5, "up, engine killed after 5.00 s"],
  ["writes", 0, "up, engine killed at change 1"],
  ["writes", 0.999, "up, engine killed at change 100"],
] as const)("by %s, a share of %d is said as %s", (by, share, said) => {
  const kill = { verb: "up", victim: "engine", by, share } as const;
  expect(describeKill(kill, { time: 10_000, writes: 100 })).toBe(said);
});
