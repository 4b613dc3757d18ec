import { configMistakes, formatPath, type Issue, UserError } from "../core/errors.ts";
import { readSize } from "../core/sizes.ts";
import { explain } from "./explain.ts";
import { hiddenValues, type Secrets } from "./hidden-values.ts";
import { invalidNames } from "./name-rules.ts";
import { stackSchema, type ValidConfig, vmKeys } from "./schema.ts";
import type { ProjectSettings, Source, StackConfig, VmSettings, VmSources } from "./settings.ts";

export type {
  HostSettings,
  ImageSettings,
  NetworkSettings,
  ProjectSettings,
  Source,
  StackConfig,
  TailnetSettings,
  VmSettings,
  VmSources,
} from "./settings.ts";
export { resolveVmSettings, type VmRequest } from "./vm-request.ts";

const namespace = "project-vms:";

/** What a config, as the engine gives it, says of projects, from whatever file: their map, or only the key, with nothing behind it. */
export function saysOfProjects(raw: Record<string, string>): "map" | "key" | undefined {
  const said = Object.entries(raw).find(([key]) => key.replace(namespace, "") === "projects");
  return said && (isNothing(readValue(said[1])) ? "key" : "map");
}

const isNothing = (value: unknown) => value === null || value === "";

/**
 * Reads the config of a stack.
 *
 * @param given key to value, as Pulumi hands them over (`pulumi.runtime.allConfig()`), where structured values are JSON text and
 *   everything else is plain text, or as {@link readEngineConfig} reads them, which come to the same. Keys may have the namespace; those
 *   of other namespaces are passed over.
 * @param file the file that errors name, e.g. `Pulumi.local.yaml`
 * @param secrets values that were not decrypted
 * @throws UserError with all mistakes at once
 */
export function parseStackConfig(given: Record<string, unknown>, file: string, secrets?: Secrets): StackConfig {
  const hidden = hiddenValues(secrets);
  const written = withoutKeys(valuesIn(given), hidden.unneeded);
  const result = stackSchema.safeParse(written);
  const [unread, rest] = hidden.sort(result.error?.issues ?? [], file);
  const issues = [...explain(rest, written, file), ...nameIssues(written.projects, file)];
  if (unread.length > 0 && issues.length === 0) throw new UserError(`${file} has secrets in the way.`, unread);
  if (!result.success || issues.length > 0) throw configMistakes(file, [...unread, ...issues]);
  return complete(result.data, written, file);
}

/** What was written, as values. An empty key (`projects:` with nothing behind it) counts as not written. */
function valuesIn(given: Record<string, unknown>): Record<string, unknown> {
  const ours = Object.entries(given).filter(([key]) => key.startsWith(namespace) || !key.includes(":"));
  const values = ours.map(([key, value]) => [key.replace(namespace, ""), readValue(value)] as const);
  return Object.fromEntries(values.filter(([, value]) => !isNothing(value)));
}

function withoutKeys(written: Record<string, unknown>, keys: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(written).filter(([key]) => !keys.includes(key)));
}

/** Of what was written as a text, Pulumi does not tell whether it is a number, a list or a map: `"8"` is 8. */
function readValue(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function nameIssues(projects: unknown, file: string): Issue[] {
  const invalid = [...invalidNames(Object.keys(asMap(projects)))];
  return invalid.map(([name, { rule, remedy }]) => ({ path: formatPath(file, ["projects", name]), rule, remedy }));
}

function complete(valid: ValidConfig, written: Record<string, unknown>, file: string): StackConfig {
  const { host, image, sshKeys, tailnet } = valid;
  const names = Object.keys(valid.projects);
  const writtenProjects = asMap(written.projects);
  return {
    host,
    image,
    sshKeys,
    tailnet,
    projects: byName(names, (name) => withDefaults(valid.defaults, valid.projects[name] ?? {})),
    sources: byName(names, (name) => sourcesOf(asMap(writtenProjects[name]), asMap(written.defaults))),
    notices: [
      ...sizeNotices(["defaults"], written.defaults, file),
      ...names.flatMap((name) => sizeNotices(["projects", name], writtenProjects[name], file)),
    ],
  };
}

function withDefaults(defaults: VmSettings, project: ValidConfig["projects"][string]): ProjectSettings {
  const own = Object.fromEntries(Object.entries(project).filter(([, value]) => value !== undefined));
  return { ...defaults, ...own };
}

function sourcesOf(project: object, defaults: object): VmSources {
  const source = (key: string): Source =>
    Object.hasOwn(project, key) ? "project" : Object.hasOwn(defaults, key) ? "defaults" : "built-in";
  return Object.fromEntries(vmKeys.map((key) => [key, source(key)])) as VmSources;
}

const sizeKeys = ["memory", "disk", "rootDisk"];

function sizeNotices(path: string[], settings: unknown, file: string): string[] {
  return Object.entries(asMap(settings)).flatMap(([key, value]) => {
    if (typeof value !== "string" || !sizeKeys.includes(key)) return [];
    const { readAs } = readSize(value);
    return readAs ? [`${formatPath(file, [...path, key])}: "${value}" is read as ${readAs}`] : [];
  });
}

function byName<T>(names: string[], value: (name: string) => T): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}

function asMap(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
