import { describe, expect, test } from "vitest";
import { checkInputs, commandKinds, invokeKinds } from "../../../toolchain/command/inputs.ts";
import { type Properties, secret, unknownString } from "../../../toolchain/command/values.ts";

const check = (inputs: Properties) => checkInputs(inputs, commandKinds, "local.CommandInputs");

describe("inputs of command:local:Command", () => {
  test.each<[string, Properties]>([
    ["nothing at all", {}],
    ["all that there is", allInputs()],
    ["secrets", { create: secret("echo"), environment: secret({ TOKEN: "x" }), interpreter: [secret("sh"), "-c"] }],
    [
      "what a preview does not know",
      { create: unknownString, environment: { A: unknownString }, triggers: [unknownString] },
    ],
  ])("takes %s", (_, inputs) => {
    expect(check(inputs)).toEqual({ inputs, failures: [] });
  });

  test("a null is as good as nothing", () => {
    expect(check({ create: "echo", dir: null }).inputs).toEqual({ create: "echo" });
  });

  test.each<[Properties, string]>([
    [{ creat: "echo" }, "Unrecognized field 'creat' on 'local.CommandInputs'"],
    [{ create: 5 }, "Field 'create' on 'local.CommandInputs' must be a 'string'; got 'float64' instead"],
    [{ interpreter: "sh" }, "Field 'interpreter' on 'local.CommandInputs' must be a '[]string'; got 'string' instead"],
    [
      { interpreter: ["sh", 1] },
      "Field 'interpreter[1]' on 'local.CommandInputs' must be a 'string'; got 'float64' instead",
    ],
    [
      { environment: { B: "1", A: 1 } },
      "Field 'environment[A] value' on 'local.CommandInputs' must be a 'string'; got 'float64' instead",
    ],
    [
      { environment: { A: null } },
      "Field 'environment[A] value' on 'local.CommandInputs' must be a 'string'; got '<nil>' instead",
    ],
    [
      { environment: ["A=1"] },
      "Field 'environment' on 'local.CommandInputs' must be a 'map[string]string'; got '[]interface {}' instead",
    ],
    [
      { logging: "all" },
      "Field 'logging' on 'local.CommandInputs' must be a 'local.Logging (stdout, stderr, stdoutAndStderr, none)'; got 'string' instead",
    ],
    [{ triggers: "now" }, "Field 'triggers' on 'local.CommandInputs' must be a '[]interface {}'; got 'string' instead"],
    [
      { addPreviousOutputInEnv: "yes" },
      "Field 'addPreviousOutputInEnv' on 'local.CommandInputs' must be a 'bool'; got 'string' instead",
    ],
    [
      { assetPaths: ["*.txt"] },
      "assetPaths is not implemented by this project's stand-in for pulumi-resource-command: install the official plugin to use it",
    ],
    [
      { archivePaths: ["*.txt"] },
      "archivePaths is not implemented by this project's stand-in for pulumi-resource-command: install the official plugin to use it",
    ],
  ])("refuses %j", (inputs, reason) => {
    const property = /^Field '(.*?)' on/.exec(reason)?.[1] ?? Object.keys(inputs)[0];
    expect(check(inputs).failures).toEqual([{ property, reason }]);
  });

  test("all mistakes come together", () => {
    expect(check({ create: 1, nope: 2 }).failures.map(({ property }) => property)).toEqual(["create", "nope"]);
  });

  test("a mistake in a secret does not show it", () => {
    expect(JSON.stringify(check({ environment: secret("12345678"), dir: secret(12345678) }).failures)).not.toContain(
      "12345678",
    );
  });
});

test("command:local:run has no life, but a command", () => {
  const { failures } = checkInputs({ command: "echo", create: "echo" }, invokeKinds, "local.RunInputs");
  expect(failures).toEqual([{ property: "create", reason: "Unrecognized field 'create' on 'local.RunInputs'" }]);
});

function allInputs(): Properties {
  return {
    addPreviousOutputInEnv: false,
    create: "echo",
    update: "echo",
    delete: "echo",
    dir: "/tmp",
    environment: { A: "1" },
    interpreter: ["bash", "-c"],
    logging: "none",
    stdin: "in",
    triggers: ["text", 1, { a: [true] }],
  };
}
