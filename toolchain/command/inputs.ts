import { isObject, isUnknown, type Properties, reveal, type Value, withoutNulls } from "./values.ts";

/** Which lines of a command go to the engine's log. */
export type Logging = "stdout" | "stderr" | "stdoutAndStderr" | "none";

/** What both the resource and the invoke say about how a command is run; names and meanings are the official ones. */
export interface RunInputs {
  interpreter?: string[] | undefined;
  dir?: string | undefined;
  environment?: Record<string, string> | undefined;
  stdin?: string | undefined;
  logging?: Logging | undefined;
  addPreviousOutputInEnv?: boolean | undefined;
}

/** The inputs of `command:local:Command`. */
export interface CommandInputs extends RunInputs {
  create?: string;
  update?: string;
  delete?: string;
  triggers?: Value[];
}

/** One mistake in a resource's inputs. */
export interface Failure {
  property: string;
  reason: string;
}

/** The Go type by which the official plugin's messages name a kind of value, and the test for it. */
interface Kind {
  goType: string;
  fits: (value: Value) => boolean;
}

const text: Kind = { goType: "string", fits: (value) => typeof value === "string" };
const truth: Kind = { goType: "bool", fits: (value) => typeof value === "boolean" };
const texts: Kind = { goType: "[]string", fits: (value) => Array.isArray(value) && value.every(knownAs(text)) };
const textMap: Kind = {
  goType: "map[string]string",
  fits: (value) => isObject(value) && Object.values(value).every(knownAs(text)),
};
const anything: Kind = { goType: "[]interface {}", fits: Array.isArray };
const loggings: readonly string[] = ["stdout", "stderr", "stdoutAndStderr", "none"] satisfies Logging[];
const logging: Kind = {
  goType: `local.Logging (${loggings.join(", ")})`,
  fits: (value) => typeof value === "string" && loggings.includes(value),
};

const runKinds: Record<string, Kind> = {
  interpreter: texts,
  dir: text,
  environment: textMap,
  stdin: text,
  logging,
  addPreviousOutputInEnv: truth,
};

/** What each input of `command:local:Command` must be. */
export const commandKinds: Record<string, Kind> = {
  ...runKinds,
  create: text,
  update: text,
  delete: text,
  triggers: anything,
};

/** What each argument of `command:local:run` must be. */
export const invokeKinds: Record<string, Kind> = { ...runKinds, command: text };

const refused = ["assetPaths", "archivePaths"];

function knownAs(kind: Kind): (value: Value) => boolean {
  return (value) => isUnknown(value) || kind.fits(value);
}

/**
 * Checks inputs. There are no defaults to fill in: what is not given is not in the state either.
 *
 * @param inputs as they came
 * @param kinds `commandKinds` or `invokeKinds`
 * @param typeName the Go type that the official messages name: `local.CommandInputs`
 * @returns the inputs to go on with, and all mistakes
 */
export function checkInputs(
  inputs: Properties,
  kinds: Record<string, Kind>,
  typeName: string,
): { inputs: Properties; failures: Failure[] } {
  const given = withoutNulls(inputs);
  const failures = Object.entries(given).flatMap(([property, value]) => {
    const reason = mistake(property, reveal(value), kinds[property], typeName);
    return reason === undefined ? [] : [{ property, reason }];
  });
  return { inputs: given, failures };
}

function mistake(property: string, value: Value, kind: Kind | undefined, typeName: string): string | undefined {
  if (refused.includes(property)) {
    return `${property} is not implemented by this project's stand-in for pulumi-resource-command: install the official plugin to use it`;
  }
  if (kind === undefined) return `Unrecognized field '${property}' on '${typeName}'`;
  if (knownAs(kind)(value)) return undefined;
  return `Field '${property}' on '${typeName}' must be a '${kind.goType}'; got '${goType(value)}' instead`;
}

/** The kind alone: the value may be a secret. */
function goType(value: Value): string {
  if (Array.isArray(value)) return "[]interface {}";
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
      return "float64";
    case "boolean":
      return "bool";
    default:
      return "map[string]interface {}";
  }
}
