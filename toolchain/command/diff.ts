import { hasSignature, isObject, type Properties, type Value } from "./values.ts";

/** What happened to a property. */
export type Change = "add" | "delete" | "update";

/** What differs, by property path: `environment.PATH`, `triggers[0]`. */
export type Difference = Map<string, Change>;

/**
 * Compares inputs, property by property, and reports the deepest paths that differ.
 *
 * Secrets are equal if their values are; a value that becomes a secret has changed.
 *
 * @param olds the inputs as the state has them
 * @param news the inputs as the program has them
 * @example compareInputs({ environment: { A: "1" } }, { environment: { A: "2" } }) // environment.A: update
 */
export function compareInputs(olds: Properties, news: Properties): Difference {
  const difference: Difference = new Map();
  compareProperties("", olds, news, difference);
  return difference;
}

function compareProperties(prefix: string, olds: Properties, news: Properties, difference: Difference): void {
  for (const key of new Set([...Object.keys(olds), ...Object.keys(news)])) {
    compareValues(joinPath(prefix, key), olds[key] ?? null, news[key] ?? null, difference);
  }
}

function compareValues(path: string, old: Value, fresh: Value, difference: Difference): void {
  if (Array.isArray(old) && Array.isArray(fresh)) {
    for (let index = 0; index < Math.max(old.length, fresh.length); index++) {
      compareValues(`${path}[${index}]`, old[index] ?? null, fresh[index] ?? null, difference);
    }
  } else if (isPlain(old) && isPlain(fresh)) {
    compareProperties(path, old, fresh, difference);
  } else if (old === null && fresh !== null) {
    difference.set(path, "add");
  } else if (old !== null && fresh === null) {
    difference.set(path, "delete");
  } else if (!sameValue(old, fresh)) {
    difference.set(path, "update");
  }
}

function isPlain(value: Value): value is Properties {
  return isObject(value) && !hasSignature(value);
}

/**
 * Whether two values are the same, whatever the order of their keys. Assets are the same if their contents are: their
 * hash tells, not the path that they were read from.
 */
export function sameValue(left: Value | undefined, right: Value | undefined): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, index) => sameValue(value, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return left === right;
  if (hasSignature(left) && typeof left.hash === "string" && left.hash !== "") return left.hash === right.hash;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...keys].every((key) => sameValue(left[key] ?? null, right[key] ?? null));
}

/** The engine's notation of property paths: names that need it are quoted. */
function joinPath(prefix: string, key: string): string {
  if (/[.["\]]/.test(key) || key === "") return `${prefix}["${key.replaceAll('"', '\\"')}"]`;
  return prefix === "" ? key : `${prefix}.${key}`;
}
