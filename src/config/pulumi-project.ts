import { UserError } from "../core/errors.ts";
import { readYaml, type Tree } from "./engine-yaml.ts";

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

/** A map, or an empty one where something else stands. */
export function asMap(value: Tree | undefined): Record<string, Tree> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** The URN of a stack's own resource, of which all others are children. */
export const stackUrn = (project: string, stack: string) =>
  `urn:pulumi:${stack}::${project}::pulumi:pulumi:Stack::${project}-${stack}`;
