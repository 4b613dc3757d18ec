import {
  isCollection,
  isMap,
  isPair,
  isScalar,
  type Node,
  type Pair,
  parseDocument,
  stringify,
  type YAMLMap,
} from "yaml";
import { engineOptions } from "../config/engine-yaml.ts";

/**
 * Changes of single values of a YAML text that leave every other byte as it is. The document is never reprinted: its
 * nodes only say where in the text something stands. Pure.
 */

/** What can be written. */
export type Value = string | number | boolean | { [key: string]: Value };

/** Maps up to this depth are written a key a line, deeper ones on one line: `webapp: { memory: 4 GiB }`. */
const blockDepth = 2;

/**
 * The text with a value set. Maps on the way to it are made where they are missing.
 *
 * @throws Error where the text is not such that a value can be put there, e.g. behind an alias
 * @example withValue("a: 1 # one\n", ["b"], 2) === "a: 1 # one\nb: 2\n"
 */
export function withValue(text: string, path: string[], value: Value): string {
  const [parent, key] = [path.slice(0, -1), path.at(-1) as string];
  const map = nodeAt(text, parent);
  if (isEmpty(map)) {
    if (parent.length > 0) return withValue(text, parent, { [key]: value });
    return `${endLine(text)}${lines({ [key]: value }, 0, 0, newlineOf(text))}`;
  }
  if (!isMap(map)) throw new Error(`${parent.join(".")} is no map that is written out`);
  const pair = pairIn(map, key);
  if (pair) return replaced(text, path, pair, value);
  const last = map.items.at(-1) as Pair;
  const end = endOf(text, last);
  if (map.flow) return insert(text, end, `, ${flow(key)}: ${flow(value)}`);
  const [, behind] = linesOf(text, last);
  const before = endLine(text.slice(0, behind));
  return `${before}${lines({ [key]: value }, columnOf(text, last), parent.length, newlineOf(text))}${text.slice(behind)}`;
}

/** The text without a key. A map that loses its last one becomes `{}`. */
export function withoutKey(text: string, path: string[]): string {
  const parent = path.slice(0, -1);
  const map = nodeAt(text, parent);
  const pair = isMap(map) ? pairIn(map, path.at(-1) as string) : undefined;
  if (!isMap(map) || !pair) return text;
  const index = map.items.indexOf(pair);
  if (map.flow) {
    const [before, after] = [map.items[index - 1], map.items[index + 1]];
    if (after) return cut(text, startOf(pair), startOf(after));
    return before ? cut(text, endOf(text, before), endOf(text, pair)) : withValue(text, parent, {});
  }
  const rest = cut(text, ...linesOf(text, pair));
  if (map.items.length > 1 || parent.length === 0) return rest;
  return insert(rest, colonOf(text, pairAt(text, parent)), " {}");
}

function replaced(text: string, path: string[], pair: Pair, value: Value): string {
  const node = pair.value as Node | null;
  const newline = newlineOf(text);
  const isNested = path.length <= blockDepth && typeof value === "object" && Object.keys(value).length > 0;
  const nested = () => `${newline}${lines(value as object, columnOf(text, pair) + 2, path.length, newline).trimEnd()}`;
  if (isNothing(node)) {
    const colon = colonOf(text, pair);
    return insert(text, colon, isNested ? nested() : ` ${flow(value)}`);
  }
  if (isCollection(node) && !node.flow) throw new Error(`${path.join(".")} is written over several lines`);
  const before = text.slice(0, rangeOf(node)[0]);
  return `${isNested ? before.trimEnd() + nested() : before + flow(value)}${text.slice(endOf(text, pair))}`;
}

/** A map as lines of their own, indented to a column. */
function lines(map: object, column: number, depth: number, newline: string): string {
  return Object.entries(map as Record<string, Value>)
    .map(([key, value]) => {
      const isNested = depth < blockDepth && typeof value === "object" && Object.keys(value).length > 0;
      const written = isNested
        ? `${newline}${lines(value, column + 2, depth + 1, newline)}`
        : ` ${flow(value)}${newline}`;
      return `${" ".repeat(column)}${flow(key)}:${written}`;
    })
    .join("");
}

/** A value on one line, with quotes where a text needs them in braces, or would be a number or a date to the engine. */
function flow(value: Value): string {
  return stringify([value], { collectionStyle: "flow", lineWidth: 0, ...(engineOptions as object) })
    .trim()
    .slice(1, -1)
    .trim();
}

function nodeAt(text: string, path: string[]): unknown {
  const { contents } = parseDocument(text);
  return path.reduce<unknown>(
    (node, key) => (isMap(node) ? pairIn(node, key)?.value : isEmpty(node) ? null : node),
    contents,
  );
}

function pairAt(text: string, path: string[]): Pair {
  return pairIn(nodeAt(text, path.slice(0, -1)) as YAMLMap, path.at(-1) as string) as Pair;
}

const pairIn = (map: YAMLMap, key: string) =>
  map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);

const isNothing = (node: unknown) => node === null || node === undefined || (isScalar(node) && node.value === null);
const isEmpty = (node: unknown) => isNothing(node) || (isMap(node) && node.items.length === 0);

/** A pair's lines, up to the line break of the last one, with the comments below that are indented deeper than its key. */
function linesOf(text: string, pair: Pair): [number, number] {
  const start = text.lastIndexOf("\n", startOf(pair) - 1) + 1;
  const newline = text.indexOf("\n", endOf(text, pair));
  let end = newline === -1 ? text.length : newline + 1;
  for (;;) {
    const below = /^(?:[ \t]*\r?\n)*([ \t]*)#[^\n]*(?:\n|$)/.exec(text.slice(end));
    if (!below || (below[1] as string).length <= columnOf(text, pair)) return [start, end];
    end += below[0].length;
  }
}

const startOf = (pair: Pair) => rangeOf(pair.key)[0];
const columnOf = (text: string, pair: Pair) => startOf(pair) - (text.lastIndexOf("\n", startOf(pair) - 1) + 1);
const colonOf = (text: string, pair: Pair) => text.indexOf(":", rangeOf(pair.key)[1]) + 1;

/** Where the last character of a pair is, but for white space and comments. */
function endOf(text: string, node: unknown): number {
  if (isPair(node)) return node.value ? endOf(text, node.value) : colonOf(text, node);
  if (isCollection(node) && !node.flow) return endOf(text, node.items.at(-1));
  return text.slice(0, rangeOf(node)[1]).trimEnd().length;
}

function rangeOf(node: unknown): [number, number, number] {
  return (node as { range: [number, number, number] }).range;
}

const insert = (text: string, at: number, what: string) => text.slice(0, at) + what + text.slice(at);
const cut = (text: string, from: number, to: number) => text.slice(0, from) + text.slice(to);
const newlineOf = (text: string) => (text.includes("\r\n") ? "\r\n" : "\n");
const endLine = (text: string) => (text === "" || text.endsWith("\n") ? text : `${text}${newlineOf(text)}`);
