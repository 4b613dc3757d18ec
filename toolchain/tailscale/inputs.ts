import { isObject, isUnknown, type Properties, reveal, type Value, withoutNulls } from "../command/values.ts";

/** One mistake in a resource's inputs or in a look-up's arguments. */
export interface Failure {
  /** Empty where the engine would show its value along, which may be secret; the reason then names it. */
  property: string;
  reason: string;
}

/** A kind of value: what it is called, and the test for it. */
export interface Kind {
  name: string;
  fits: (value: Value) => boolean;
}

const truth: Kind = { name: "bool", fits: (value) => typeof value === "boolean" };
const text: Kind = { name: "string", fits: (value) => typeof value === "string" };
const seconds: Kind = { name: "number", fits: (value) => typeof value === "number" && Number.isInteger(value) };
const texts: Kind = {
  name: "list of string",
  fits: (value) => Array.isArray(value) && value.every((item) => isUnknown(item) || text.fits(item)),
};
const filters: Kind = {
  name: "list of object with name and values",
  fits: (value) =>
    Array.isArray(value) &&
    value.every((item) => isObject(item) && text.fits(item.name ?? null) && texts.fits(item.values ?? null)),
};

/** What each input of `tailscale:index/tailnetKey:TailnetKey` must be. */
export const keyKinds: Record<string, Kind> = {
  description: text,
  ephemeral: truth,
  expiry: seconds,
  preauthorized: truth,
  recreateIfInvalid: text,
  reusable: truth,
  tags: texts,
  userId: text,
};

/** What each argument of getDevice must be. */
export const deviceKinds: Record<string, Kind> = { hostname: text, name: text, waitFor: text };

/** What each argument of getDevices must be; `devices` is in the official schema and means nothing. */
export const devicesKinds: Record<string, Kind> = {
  devices: { name: "list", fits: Array.isArray },
  filters,
  namePrefix: text,
};

const longestDescription = 50;
const recreations = ["", "always", "never"];

/**
 * Checks a key's inputs.
 *
 * @param inputs as they came
 * @param name of the resource, for the official ending of the messages
 * @returns the inputs to go on with, and all mistakes
 */
export function checkKey(inputs: Properties, name: string): { inputs: Properties; failures: Failure[] } {
  const given = withoutNulls(inputs);
  const failures = [...checkKinds(given, keyKinds), ...checkRules(given)];
  const place = (property: string) => `Examine values at '${name}.${property}'.`;
  return {
    inputs: given,
    failures: failures.map(({ property, reason }) => ({ property: "", reason: `${reason}. ${place(property)}` })),
  };
}

/** The mistakes of kind in inputs or arguments. A message names kinds alone: the value may be a secret. */
export function checkKinds(given: Properties, kinds: Record<string, Kind>): Failure[] {
  return Object.entries(given).flatMap(([property, value]) => {
    const kind = kinds[property];
    if (kind === undefined)
      return [{ property, reason: "Unsupported argument. An argument of this name is not expected" }];
    const plain = reveal(value);
    if (isUnknown(plain) || kind.fits(plain)) return [];
    return [{ property, reason: `Incorrect attribute value type. Must be a ${kind.name}` }];
  });
}

function checkRules(given: Properties): Failure[] {
  const failures: Failure[] = [];
  const description = reveal(given.description ?? "");
  if (typeof description === "string" && !isUnknown(description) && description.length > longestDescription) {
    const reason = `Invalid Attribute Value Length. Attribute description string length must be at most ${longestDescription}, got: ${description.length}`;
    failures.push({ property: "description", reason });
  }
  const tags = reveal(given.tags ?? []);
  const known = Array.isArray(tags) ? tags.filter((tag) => !isUnknown(tag)) : [];
  const double = known.find((tag, index) => known.indexOf(tag) !== index);
  if (double !== undefined) {
    const reason = `Duplicate Set Element. This attribute contains duplicate values of: tftypes.String<${JSON.stringify(double)}>`;
    failures.push({ property: "tags", reason });
  }
  const recreate = reveal(given.recreateIfInvalid ?? "");
  if (typeof recreate === "string" && !isUnknown(recreate) && !recreations.includes(recreate)) {
    const reason = `Invalid Attribute Value Match. Attribute recreate_if_invalid value must be one of: ["" "always" "never"], got: ${JSON.stringify(recreate)}`;
    failures.push({ property: "recreateIfInvalid", reason });
  }
  return failures;
}
