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
  /** What each element must be, and how the official plugin names its place. */
  elements?: { kind: Kind; place: (key: string) => string };
}

const text: Kind = { goType: "string", fits: (value) => typeof value === "string" };
const truth: Kind = { goType: "bool", fits: (value) => typeof value === "boolean" };
const texts: Kind = {
  goType: "[]string",
  fits: Array.isArray,
  elements: { kind: text, place: (index) => `[${index}]` },
};
const textMap: Kind = {
  goType: "map[string]string",
  fits: isObject,
  elements: { kind: text, place: (key) => `[${key}] value` },
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
    if (refused.includes(property)) return [{ property, reason: `${property} ${notImplemented}` }];
    const kind = kinds[property];
    if (kind === undefined) return [{ property, reason: `Unrecognized field '${property}' on '${typeName}'` }];
    return misfit(property, reveal(value), kind, typeName) ?? [];
  });
  return { inputs: given, failures };
}

const notImplemented =
  "is not implemented by this project's stand-in for pulumi-resource-command: install the official plugin to use it";

/** The first mistake in a value, by its place. */
function misfit(field: string, value: Value, kind: Kind, typeName: string): Failure | undefined {
  if (isUnknown(value)) return undefined;
  if (!kind.fits(value)) {
    const reason = `Field '${field}' on '${typeName}' must be a '${kind.goType}'; got '${goType(value)}' instead`;
    return { property: field, reason };
  }
  const { elements } = kind;
  if (elements === undefined) return undefined;
  for (const [key, element] of Object.entries(value as Properties)) {
    const failure = misfit(`${field}${elements.place(key)}`, element, elements.kind, typeName);
    if (failure) return failure;
  }
  return undefined;
}

/** The kind alone: the value may be a secret. */
function goType(value: Value): string {
  if (value === null) return "<nil>";
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
