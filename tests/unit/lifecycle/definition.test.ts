import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { definitionDigest, rootDigest } from "../../../src/lifecycle/definition.ts";

describe("the digest of a definition", () => {
  test("is of what is said, not of the order in which it is said", () => {
    expect(definitionDigest({ memory: 1, disks: [{ a: 1, b: 2 }] })).toBe(
      definitionDigest({ disks: [{ b: 2, a: 1 }], memory: 1 }),
    );
  });

  test.each([
    ["a value", { memory: 2, disks: ["a", "b"] }],
    ["the order of a list", { memory: 1, disks: ["b", "a"] }],
    ["one more key", { memory: 1, disks: ["a", "b"], machine: "q35" }],
  ])("another one for %s", (_, other) => {
    expect(definitionDigest(other)).not.toBe(definitionDigest({ memory: 1, disks: ["a", "b"] }));
  });

  test("what is known later only does not count", () => {
    expect(definitionDigest({ id: pulumi.output("a") })).toBe(definitionDigest({ id: pulumi.output("b") }));
  });
});

describe("the digest of a request for a root", () => {
  const url = (digit: string) => ({ kind: "url", url: "https://x/y.qcow2", sha512: digit.repeat(128) }) as const;

  test("tells texts and images apart", () => {
    const requests = [{}, { rebuild: "1" }, { rebuild: "2" }, { image: { kind: "build" } as const }];
    const all = [...requests, { image: url("a") }, { image: url("b") }].map(rootDigest);
    expect(new Set(all).size).toBe(all.length);
  });

  test("an image that has only moved is the same", () => {
    expect(rootDigest({ image: { ...url("a"), url: "https://elsewhere/y.qcow2" } })).toBe(
      rootDigest({ image: url("a") }),
    );
  });
});
