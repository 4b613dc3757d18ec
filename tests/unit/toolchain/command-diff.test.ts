import { describe, expect, test } from "vitest";
import { diffCommand } from "../../../toolchain/command/command.ts";
import { type Properties, secret, unknownString } from "../../../toolchain/command/values.ts";

const outputs = { stdout: "printed", stderr: "" };
const asset = (hash: string, path: string) => ({
  "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17",
  hash,
  path,
});

describe("what has changed", () => {
  test.each<[string, Properties, Properties, Record<string, string>]>([
    ["nothing", { create: "a", environment: { A: "1" } }, { create: "a", environment: { A: "1" } }, {}],
    ["a text", { create: "a" }, { create: "b" }, { create: "update" }],
    ["an input that is new", {}, { update: "b" }, { update: "add" }],
    ["an input that is gone", { delete: "a" }, {}, { delete: "delete" }],
    [
      "one variable",
      { environment: { A: "1", B: "1" } },
      { environment: { A: "1", B: "2" } },
      { "environment.B": "update" },
    ],
    ["a variable with a dot", { environment: {} }, { environment: { "a.b": "1" } }, { 'environment["a.b"]': "add" }],
    ["a trigger", { triggers: ["a", 1] }, { triggers: ["a", 2] }, { "triggers[1]": "update" }],
    ["one trigger more", { triggers: ["a"] }, { triggers: ["a", "b"] }, { "triggers[1]": "add" }],
    ["the first trigger", {}, { triggers: ["a"] }, { triggers: "add" }],
    [
      "inside a trigger",
      { triggers: [{ a: { b: 1 } }] },
      { triggers: [{ a: { b: 2 } }] },
      { "triggers[0].a.b": "update" },
    ],
    ["a value not known yet", { create: "a" }, { create: unknownString }, { create: "update" }],
    ["nothing in a secret", { create: secret("a") }, { create: secret("a") }, {}],
    ["what is in a secret", { create: secret("a") }, { create: secret("b") }, { create: "update" }],
    ["a value that becomes secret", { create: "a" }, { create: secret("a") }, { create: "update" }],
    ["the order of keys, which is nothing", { triggers: [{ a: 1, b: 2 }] }, { triggers: [{ b: 2, a: 1 }] }, {}],
    ["an asset's path, which is nothing", { triggers: [asset("1", "/a")] }, { triggers: [asset("1", "/b")] }, {}],
    [
      "an asset's content",
      { triggers: [asset("1", "/a")] },
      { triggers: [asset("2", "/a")] },
      { "triggers[0]": "update" },
    ],
  ])("%s", (_, olds, news, expected) => {
    expect(Object.fromEntries(diffCommand({ ...olds, ...outputs }, news))).toEqual(expected);
  });
});
