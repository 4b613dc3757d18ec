import {
  CST,
  type Document,
  isScalar,
  Parser,
  parseAllDocuments,
  Scalar,
  type ScalarTag,
  type TagId,
  visit,
} from "yaml";
import { UserError } from "../core/errors.ts";

/**
 * YAML as Pulumi's engine reads it: by Go's yaml.v3, which is neither YAML 1.1 nor 1.2. It merges (`<<`), has octal numbers
 * (`010`), underscores in numbers and dates, but no `yes` and `no`. Pure.
 */

/** What a YAML text may hold. Keys are in order, as the engine has them when it prints JSON. */
export type Tree = string | number | boolean | null | Tree[] | { [key: string]: Tree };

const wholePattern = /^[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)$/;
const floatPattern = /^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/;

function readNumber(text: string): number | string {
  const [, sign, digits = ""] = /^([-+]?)(.*)$/.exec(text.replaceAll("_", "")) ?? [];
  const size = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  if (!Number.isFinite(size)) return text; // beyond what a number can be, Go leaves the text
  return sign === "-" && size !== 0 ? -size : size;
}

const datePattern =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]| (?!.*[Zz+]))(\d\d?):(\d\d?):(\d\d?)(?:\.(\d{1,9}))?(Z|[-+]\d\d:\d\d)?)?$/;

/** A date becomes a text in Go's own form, which nothing else can do with but compare it. */
function readDate(text: string): string {
  const [, year, month, day, hour = "0", minute = "0", second = "0", part = "", zone] = datePattern.exec(text) ?? [];
  const hasZone = /^\d+-\d+-\d+[Tt]/.test(text);
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const isOne = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  if (!isOne || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return text;
  if (hasZone !== (zone !== undefined)) return text;
  const two = (digits: string | undefined) => String(digits).padStart(2, "0");
  const fraction = part.replace(/0+$/, "");
  const offset = zone === undefined || /^(?:Z|[-+]00:00)$/.test(zone) ? undefined : zone.replace(":", "");
  const clock = `${two(hour)}:${two(minute)}:${two(second)}${fraction && `.${fraction}`}`;
  return `${year}-${two(month)}-${two(day)} ${clock} ${offset ?? "+0000"} ${offset ?? "UTC"}`;
}

const standard = "tag:yaml.org,2002:";
const number = { resolve: readNumber, stringify: ({ value }: Scalar) => JSON.stringify(value) };
const ownTags: ScalarTag[] = [
  { tag: `${standard}timestamp`, default: true, test: datePattern, resolve: readDate },
  { tag: `${standard}int`, default: true, test: wholePattern, identify: Number.isInteger, ...number },
  {
    tag: `${standard}float`,
    default: true,
    test: floatPattern,
    identify: (value) => typeof value === "number",
    ...number,
  },
  { tag: `${standard}binary`, resolve: (text) => Buffer.from(text, "base64").toString() },
];

const isReplaced = (tag: { tag: string; format?: string; test?: RegExp }) =>
  tag.tag === `${standard}int` || (tag.tag === `${standard}float` && !tag.test?.test(".nan"));

/** How the library is to parse and print so that it comes to what the engine does. */
export const engineOptions = {
  schema: "core",
  merge: true,
  customTags: (tags: (TagId | { tag: string })[]) => [
    ...ownTags,
    ...tags.filter((tag) => typeof tag === "string" || !isReplaced(tag)),
  ],
} as const;

/**
 * Reads a YAML text; of several documents the first, as the engine does.
 *
 * @param file how the error names it
 * @throws UserError with line and column of every place that does not parse
 * @example readYaml("a: 010", "Pulumi.local.yaml") // {a: 8}
 */
export function readYaml(text: string, file: string): Tree {
  if (!isShallow(text)) throw notYaml(file, [mistake(file, `lists and maps are nested more than ${deepest} deep`)]);
  const odd = oddCharacterIn(text.replace(/^\ufeff/, ""));
  if (odd !== undefined) throw notYaml(file, [mistake(file, odd)]);
  // The library's type of a tag cannot be named.
  const [document] = parseAllDocuments(text, engineOptions as object);
  if (document === undefined || !("errors" in document)) return null;
  const issues = document.errors.map(({ linePos, message }) => {
    const [place] = linePos ?? [{ line: 1, col: 1 }];
    return mistake(`${file}: line ${place.line}, column ${place.col}`, message.split(" at line ")[0] ?? message);
  });
  if (issues.length > 0) throw notYaml(file, issues);
  try {
    refuseWhatEngineDoes(text, document);
    return asTree(withTextKeys(document.toJS({ mapAsMap: true })));
  } catch (error) {
    throw notYaml(file, [mistake(file, (error as Error).message)]);
  }
}

/** No config of ours is nested more deeply; much more of it fills the library's stack, which has ended Node. */
const deepest = 100;

/** Looks at the text's tokens, which the library finds without calling itself. */
function isShallow(text: string): boolean {
  const left = [...new Parser().parse(text)].map((token) => ({
    token: token as CST.Token | null | undefined,
    depth: 0,
  }));
  for (let next = left.pop(); next; next = left.pop()) {
    const { token, depth } = next;
    if (depth > deepest) return false;
    if (token?.type === "document") left.push({ token: token.value, depth });
    if (!CST.isCollection(token)) continue;
    for (const { key, value } of token.items)
      left.push({ token: key, depth: depth + 1 }, { token: value, depth: depth + 1 });
  }
  return true;
}

/** What Go refuses, or has for the end of a line where the library has not. */
const oddCharacters: [pattern: RegExp, what: string][] = [
  [/[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/u, "a control character"],
  [
    /\r(?!\n)|[\x85\u2028\u2029]/,
    "a character that ends a line to Pulumi: end lines in \\n or \\r\\n, and in double quotes write \\r, \\N, \\L or \\P for it",
  ],
];

function oddCharacterIn(text: string): string | undefined {
  for (const [pattern, what] of oddCharacters) {
    const odd = pattern.exec(text);
    if (odd) return `line ${text.slice(0, odd.index).split(/\r\n?|\n/).length} has ${what}`;
  }
  return undefined;
}

/** The library takes more than Go does, and some in another way. A quoted `<<` merges too. */
function refuseWhatEngineDoes(text: string, document: Document): void {
  const { explicit, version } = document.directives?.yaml ?? {};
  if (explicit && version !== "1.1")
    throw new Error(`%YAML ${version} is a version that Pulumi refuses: remove that line`);
  visit(document, {
    Scalar(_, node) {
      const { type, range } = node;
      if (type === Scalar.QUOTE_DOUBLE && range) refuseEscapes(text.slice(range[0], range[1]));
      if (isMisfit(node)) throw new Error(`${shortTag(node)} must stand before a value that is one: remove it`);
    },
    Seq(_, node) {
      refuseOtherCollection(node);
    },
    Map(_, node) {
      refuseOtherCollection(node);
      const merges = node.items.flatMap(({ key }) => (isMerge(key) ? [key] : []));
      for (const key of merges) key.type = Scalar.PLAIN;
      if (merges.length > 1) throw new Error("a map must have `<<` once: write `<<: [*one, *other]`");
    },
  });
}

/** @param written a text in double quotes, as it is written */
function refuseEscapes(written: string): void {
  for (const [found] of written.matchAll(/\\(?:u.{4}|U.{8}|.)/gs)) {
    if (found === "\\/") throw new Error("`\\/` in quotes is refused by Pulumi: write `/`");
    if (/^\\(?:u|U0000)d[89a-f]/i.test(found))
      throw new Error(`\`${found}\` in quotes is half a letter, which Pulumi refuses: write the letter itself`);
  }
}

const typedTags = ["null", "bool", "int", "float", "timestamp"].map((type) => standard + type);

/** Whether a text has the tag of another type, and is none of that: the library leaves it as it is. */
const isMisfit = ({ tag = "", value, source }: Scalar) => typedTags.includes(tag) && value === source;

/** Go takes the one for a map and the other for a list of maps; the library for collections of JavaScript's. */
function refuseOtherCollection(node: { tag?: string | undefined }): void {
  if (node.tag === `${standard}set` || node.tag === `${standard}omap`)
    throw new Error(
      `${shortTag(node)} is taken for something else by Pulumi: write a map, or a list of maps, without it`,
    );
}

const shortTag = ({ tag = "" }: { tag?: string | undefined }) => `\`${tag.replace(standard, "!!")}\``;

const isMerge = (key: unknown): key is Scalar =>
  isScalar(key) && !key.tag && (key.value === "<<" || (key.value as symbol)?.description === "<<");

/** Further down a key may be a number. */
function withTextKeys(top: unknown): unknown {
  if (!(top instanceof Map)) return top;
  for (const map of [top, top.get("config")]) {
    const odd = map instanceof Map ? [...map.keys()].find((key) => typeof key !== "string") : undefined;
    if (odd !== undefined) throw new Error(`the key ${keyText(odd)} must be a text`);
  }
  return top;
}

const mistake = (path: string, why: string) => ({
  path,
  rule: `must be YAML: ${why}`,
  remedy: "mend that line; nothing of the file could be read",
});
const notYaml = (file: string, issues: ReturnType<typeof mistake>[]) =>
  new UserError(`${file} does not parse.`, issues);

function asTree(value: unknown): Tree {
  if (Array.isArray(value)) return value.map(asTree);
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => [keyText(key), asTree(item)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error("a number must be finite");
  return value as Tree;
}

/** A key that is no text is printed as Go does it. */
function keyText(key: unknown): string {
  if (key === null) return "<nil>";
  if (typeof key === "object") throw new Error("a key must not be a map or a list");
  return String(key);
}
