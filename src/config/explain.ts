import { closest, distance } from "fastest-levenshtein";
import type { z } from "zod";

import { formatPath, type Issue } from "../core/errors.ts";
import type { ReaderParams } from "./schema.ts";

type ZodIssue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** Zod's issues as mistakes that a user can act on. `written` is what was validated: the values shown come from it. */
export function explain(issues: readonly ZodIssue[], written: unknown, file: string): Issue[] {
  return issues.flatMap((issue) => explainOne(issue, issue.path, written, file));
}

function explainOne(issue: ZodIssue, path: Path, written: unknown, file: string): Issue[] {
  const value = valueAt(written, path);
  const mistake = (rule: string, remedy: string, secret = false): Issue[] => [
    { path: formatPath(file, path), rule, remedy, ...(secret || value === undefined ? {} : { value }) },
  ];
  switch (issue.code) {
    case "custom": {
      const { invalid } = issue.params as ReaderParams & typeof issue.params;
      return mistake(invalid.rule, invalid.remedy, invalid.secret);
    }
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(formatPath(file, [...path, key]), key, issue.message.split(" ")));
    case "invalid_value":
      return mistake(...oneOf(issue.values.map(String), value));
    case "invalid_union": {
      if ("options" in issue && issue.options) return mistake(...oneOf(issue.options.map(String), value));
      const inner = issue.errors.find((branch) => !branch.some(isOfAnotherType));
      if (inner) return inner.flatMap((one) => explainOne(one, [...path, ...one.path], written, file));
      const kinds = issue.errors.flatMap((branch) => branch.filter((one) => one.code === "invalid_type"));
      return mistake(`must be ${kinds.map(({ expected }) => article(expected)).join(" or ")}`, remedyFor(""));
    }
    case "invalid_type":
      // SSH keys are never shown: what stands in their place may be a secret.
      return mistake(`must be ${article(issue.expected)}`, remedyFor(issue.expected), path[0] === "sshKeys");
    case "too_small":
      return mistake("must not be empty", "list at least one, or remove the key to have its default");
    default:
      return mistake(issue.message, "docs/config.md says what can stand here");
  }
}

/** The issue of a key that is not among the known ones. */
export function unknownKey(path: string, key: string, known: string[]): Issue {
  const nearest = nearestOf(key, known);
  const list = `known here: ${known.map((name) => `\`${name}\``).join(", ")}`;
  return { path, rule: "is an unknown key", remedy: nearest ? `did you mean \`${nearest}\`? (${list})` : list };
}

function oneOf(allowed: string[], value: unknown): [rule: string, remedy: string] {
  const nearest = typeof value === "string" ? nearestOf(value, allowed) : undefined;
  const rule = value === undefined ? "is missing" : `must be one of ${allowed.join(", ")}`;
  return [rule, `write ${nearest ? `\`${nearest}\`` : allowed.map((one) => `\`${one}\``).join(" or ")}`];
}

/** The nearest of the known words, unless it is so far away that it would be a guess. */
function nearestOf(word: string, known: string[]): string | undefined {
  const nearest = closest(word.toLowerCase(), known);
  const steps = distance(word.toLowerCase(), nearest.toLowerCase());
  return steps <= Math.max(2, Math.floor(nearest.length / 2)) && steps < nearest.length ? nearest : undefined;
}

function isOfAnotherType(issue: ZodIssue): boolean {
  return issue.code === "invalid_type" && issue.path.length === 0;
}

const articles: Record<string, string> = {
  array: "a list",
  boolean: "true or false",
  object: "a map",
  record: "a map",
  string: "text",
};

function article(expected: string): string {
  return articles[expected] ?? expected;
}

function remedyFor(expected: string): string {
  switch (expected) {
    case "object":
      return "write its keys below it, one a line and indented, as in docs/config.md";
    case "record":
      return "write the entries below it, one a line and indented, e.g. `myapp: {}`";
    case "array":
      return "write the entries below it, one a line, each after `- `";
    case "boolean":
      return "write `true` or `false`, without quotes";
    default:
      return "docs/config.md says what can stand here";
  }
}

function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, step) => (isRecord(node) && Object.hasOwn(node, step) ? node[step] : undefined),
    tree,
  );
}

function isRecord(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null;
}
