import { isDeepStrictEqual } from "node:util";
import { formatPath, type Issue, UserError } from "../core/errors.ts";
import { readYaml, type Tree } from "./engine-yaml.ts";
import { unknownKey } from "./explain.ts";
import { asMap, ownNamespace, type PulumiProject } from "./pulumi-project.ts";

/** A stack's config as Pulumi hands it to a program, but for secrets. Pure. */
export interface EngineConfig {
  /** By key, with its namespace. Where a secret stands, there is {@link secretText}. */
  values: Record<string, Tree>;
  /** Where secrets stand: the key, then the way into its value. */
  secrets: (string | number)[][];
}

/** Stands in the place of a secret. */
export const secretText = "[secret]";

/**
 * Reads the config in the text of a stack's file, with what Pulumi.yaml adds to it.
 *
 * @param file how errors name it
 * @throws UserError where it does not parse, where Pulumi would not read it either, or where it takes one of two by chance
 */
export function readEngineConfig(text: string, project: PulumiProject, file: string): EngineConfig {
  const written = configIn(text, project, file);
  const keys = Object.keys(written);
  const twice = writtenAlike(keys, project.name);
  if (twice.length > 0) throw writtenTwice(file, twice);
  const secrets: EngineConfig["secrets"] = [];
  const own = keys.map((key) => {
    const full = fullKey(key, project.name);
    if (full === undefined) throw noKey(file, key);
    return [full, withoutSecrets(written[key] ?? null, [full], secrets)] as const;
  });
  return { values: withProjectConfig(Object.fromEntries(own), project), secrets };
}

/**
 * How a key of ours is written in the text of a stack's file: with its namespace, unless it is there without.
 *
 * @example writtenKey("config: {projects: {}}", plainProject, "projects") // "projects"
 */
export function writtenKey(text: string, project: PulumiProject, key: string, file: string): string {
  const full = `${ownNamespace}:${key}`;
  return Object.keys(configIn(text, project, file)).find((one) => fullKey(one, project.name) === full) ?? full;
}

/** What Pulumi reads in a stack's file beside its config (`ProjectStack` in Pulumi's sdk/go/common/workspace). */
const engineKeys = ["secretsprovider", "encryptedkey", "encryptionsalt", "environment"];

/**
 * Pulumi passes over a key that it does not know: of a file with `confg:` it would read no projects, and an update remove all VMs. Beside
 * projects others are for what those refer to by anchors, but for one of ours that is not indented.
 */
function configIn(text: string, project: PulumiProject, file: string): Record<string, Tree> {
  const tree = readYaml(text, file);
  if (tree === null) return {};
  if (typeof tree !== "object" || Array.isArray(tree)) throw noMap(file, file);
  const { config = null, environment = null, ...others } = tree;
  const unknown = Object.keys(others).filter((key) => !engineKeys.includes(key));
  const wrong = hasProjects(asMap(config), project)
    ? unknown.filter((key) => key.startsWith(`${ownNamespace}:`))
    : unknown;
  if (wrong.length > 0) throw unknownKeys(file, wrong);
  if (environment !== null && !isDeepStrictEqual(environment, [])) throw hasEnvironment(file);
  if (config !== null && (typeof config !== "object" || Array.isArray(config))) throw noMap(file, `${file}: config`);
  return asMap(config);
}

/** Whether any projects are written, here or in Pulumi.yaml. */
const hasProjects = (own: Record<string, Tree>, { name, config }: PulumiProject) =>
  [...Object.keys(own), ...Object.keys(config)].some((key) =>
    new RegExp(`^${ownNamespace}:projects(\\.|$)`).test(fullKey(key, name) ?? ""),
  );

/** A key with its namespace; that of the project is the one where none is written. undefined: Pulumi refuses it. */
function fullKey(key: string, project: string): string | undefined {
  const steps = key.split(":");
  if (steps.length === 1) return `${project}:${key}`;
  if (steps.length === 2) return key;
  // As they were once written.
  return steps.length === 3 && steps[1] === "config" ? `${steps[0]}:${steps[2]}` : undefined;
}

/** The keys of ours that are written in more than one way. */
function writtenAlike(keys: string[], project: string): string[] {
  const full = keys.map((key) => fullKey(key, project));
  const counts = new Map<string | undefined, number>();
  for (const one of full) counts.set(one, (counts.get(one) ?? 0) + 1);
  return keys.filter((_, i) => full[i]?.startsWith(`${ownNamespace}:`) && (counts.get(full[i]) ?? 0) > 1);
}

function withoutSecrets(value: Tree, path: (string | number)[], secrets: EngineConfig["secrets"]): Tree {
  if (Array.isArray(value)) return value.map((item, i) => withoutSecrets(item, [...path, i], secrets));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && typeof value.secure === "string") {
    secrets.push(path);
    return secretText;
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutSecrets(item, [...path, key], secrets)]));
}

/** What Pulumi.yaml says counts where a stack says nothing at that place. */
function withProjectConfig(own: Record<string, Tree>, { name, config }: PulumiProject): Record<string, Tree> {
  return Object.entries(config).reduce((values, [key, value]) => {
    const full = fullKey(key, name);
    if (full === undefined) return values;
    const [namespace = "", way = ""] = full.split(":");
    const [first = "", ...rest] = way.split(".");
    return placed(values, [`${namespace}:${first}`, ...rest], value);
  }, own);
}

function placed(tree: Record<string, Tree>, [key = "", ...rest]: string[], value: Tree): Record<string, Tree> {
  if (rest.length === 0) return Object.hasOwn(tree, key) ? tree : { ...tree, [key]: value };
  return { ...tree, [key]: placed(asMap(tree[key]), rest, value) };
}

const nothingRead = (file: string, issue: Issue) => new UserError(`${file} cannot be read.`, [issue]);

function writtenTwice(file: string, keys: string[]): UserError {
  const list = keys.map((key) => `\`${key}\``).join(" and ");
  return nothingRead(file, {
    path: `${file}: config`,
    rule: `must have each key once, but has ${list}, which are the same to Pulumi: it takes one of them by chance`,
    remedy: "move what is below one of them below the other one, and remove the empty one",
  });
}

function noKey(file: string, key: string): UserError {
  return nothingRead(file, {
    path: formatPath(file, ["config", key]),
    rule: "must be a key that Pulumi can read",
    remedy: "write it as `<namespace>:<name>`, e.g. `project-vms:projects`",
  });
}

function unknownKeys(file: string, keys: string[]): UserError {
  const issues = keys.map((key) => {
    const path = formatPath(file, [key]);
    const below = {
      path,
      rule: "is an unknown key",
      remedy: "indent it, and what is below it, to be a key of `config:`",
    };
    if (key.includes(":") || key === "projects") return below;
    const issue = unknownKey(path, key, ["config", ...engineKeys]);
    return { ...issue, remedy: `${issue.remedy}; beside \`project-vms:projects\`, be it \`{}\`, any key may stand` };
  });
  return new UserError(`${file} cannot be read.`, issues);
}

function hasEnvironment(file: string): UserError {
  return nothingRead(file, {
    path: `${file}: environment`,
    rule: "must not be there: Pulumi Cloud alone knows what it adds to the config, and a backend of files refuses it",
    remedy: "write its values below `config:`, and remove it",
  });
}

function noMap(file: string, path: string): UserError {
  return nothingRead(file, {
    path,
    rule: "must be a map",
    remedy: "write `config:` and the keys below it, one a line and indented",
  });
}
