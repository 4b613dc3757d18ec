import { readFileSync } from "node:fs";
import path from "node:path";
import { readYaml, type Tree } from "./engine-yaml.ts";
import { UserError } from "./errors.ts";

/** What Pulumi.yaml says of the stacks: of their configs, and where their states are. */
export interface PulumiProject {
  /** The namespace of keys that are written without one. */
  name: string;
  /** Where the stacks' files are, from the folder of Pulumi.yaml. */
  stackConfigDir: string;
  /** Values by key for stacks that do not have that key; a key may be a path, e.g. `host.uri`. */
  config: Record<string, Tree>;
  /** The URL of the backend; undefined: where `pulumi login` points. */
  backend?: string | undefined;
}

/** The namespace of this program's keys. */
export const ownNamespace = "project-vms";

/** A Pulumi.yaml that says nothing of configs. */
export const plainProject: PulumiProject = { name: ownNamespace, stackConfigDir: "", config: {} };

/**
 * Reads Pulumi.yaml.
 *
 * @param root absolute path of its folder; where there is none, it is as one that says nothing
 * @throws UserError when it does not parse, or has a name that the engine does not take
 */
export function readPulumiProject(root: string): PulumiProject {
  return parsePulumiProject(readTextIfThere(path.join(root, "Pulumi.yaml")));
}

/** The same from the file's text. Pure. */
export function parsePulumiProject(text: string): PulumiProject {
  const tree = asMap(readYaml(text, "Pulumi.yaml"));
  const name = checkedName(typeof tree.name === "string" ? tree.name : ownNamespace);
  // Before `stackConfigDir` there was `config: <folder>`.
  const dir = typeof tree.config === "string" ? tree.config : tree.stackConfigDir;
  const values = Object.entries(asMap(tree.config)).flatMap(([key, written]) => {
    const value = defaultIn(written);
    return value === undefined || value === null ? [] : [[key, value] as const];
  });
  const { url } = asMap(tree.backend);
  return {
    name,
    stackConfigDir: typeof dir === "string" ? dir : "",
    config: Object.fromEntries(values),
    backend: typeof url === "string" && url !== "" ? url : undefined,
  };
}

/** The engine takes no other name, but for one of dots alone; it is a folder's name in a backend of files. */
function checkedName(name: string): string {
  if (/^[\w.-]{1,100}$/.test(name) && !/^\.+$/.test(name)) return name;
  const rule = "must be 1 to 100 letters, digits and -_. and no dots alone";
  const remedy = `give the project its name again; this program's own is ${ownNamespace}`;
  throw new UserError("Pulumi.yaml cannot be used.", [{ path: "Pulumi.yaml: name", rule, value: name, remedy }]);
}

/** A value stands by itself, or as `default` or `value` beside its type. */
function defaultIn(written: Tree): Tree | undefined {
  if (typeof written !== "object" || written === null || Array.isArray(written)) return written;
  return written.default ?? written.value;
}

/**
 * A stack's file, from the folder of Pulumi.yaml.
 *
 * @example stackFileName("/home/me/vms", "local") // "Pulumi.local.yaml"
 */
export function stackFileName(root: string, stack: string): string {
  return path.join(readPulumiProject(root).stackConfigDir, `Pulumi.${stack}.yaml`);
}

/**
 * The text of a file; a file that is not there is an empty one.
 *
 * @throws UserError when it is no text
 */
export function readTextIfThere(file: string): string {
  try {
    return decodeText(readFileSync(file), path.basename(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/**
 * Bytes as text, without the mark that says how they are coded. Pulumi reads UTF-16 too.
 *
 * @param file how the error names it
 * @throws UserError when they are no text
 */
export function decodeText(bytes: Buffer, file: string): string {
  const [first, second] = bytes;
  const coding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(coding, { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${file} cannot be read.`, [
      { path: file, rule: "must be UTF-8", remedy: `convert it, e.g.: iconv -f latin1 -t utf8 ${file}` },
    ]);
  }
}

/** A map, or an empty one where something else stands. */
export function asMap(value: Tree | undefined): Record<string, Tree> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** The URN of a stack's own resource, of which all others are children. */
export const stackUrn = (project: string, stack: string) =>
  `urn:pulumi:${stack}::${project}::pulumi:pulumi:Stack::${project}-${stack}`;
