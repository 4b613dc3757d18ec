import { isDeepStrictEqual } from "node:util";
import { readPulumiProject, stackFileName } from "../checkout/pulumi-files.ts";
import { readStackText } from "../checkout/read-stack-file.ts";
import { loadStack } from "../checkout/stack.ts";
import { type EntrySettings, projectsAsRead, withEntry } from "../checkout/stack-file.ts";
import { stacksIn } from "../checkout/stack-names.ts";
import { invalidNames } from "../config/name-rules.ts";
import { formatPath, UserError } from "../core/errors.ts";
import { mayBeSameLibvirt } from "../libvirt/virsh.ts";
import type { StorageHost } from "../project-disks/project-disk.ts";
import type { StackPlace } from "./change.ts";

type Entries = Record<string, EntrySettings | null>;

/** The projects in the text of a stack's file, as Pulumi reads it. */
export function entriesIn(text: string, { root, file }: Pick<StackPlace, "root" | "file">): Entries {
  return projectsAsRead(text, file, readPulumiProject(root)) as Entries;
}

/**
 * The text of a stack's file with a project in it. One that is in it already stays as it is: an earlier update may have been
 * cut off, and is finished by this one.
 *
 * @throws UserError for a name that cannot be, or a project that is there with other settings
 */
export function withProject(text: string, stack: StackPlace, name: string, settings: EntrySettings): string {
  const { file, root } = stack;
  const entries = entriesIn(text, stack);
  const path = formatPath(file, ["projects", name]);
  if (Object.hasOwn(entries, name)) {
    const isSame = Object.entries(settings).every(([key, value]) => isDeepStrictEqual(entries[name]?.[key], value));
    if (isSame) return text;
    throw existsAlready(path, name);
  }
  const invalid = invalidNames([...Object.keys(entries), name]).get(name);
  if (invalid) throw new UserError("Nothing was changed.", [{ path, rule: invalid.rule, remedy: invalid.remedy }]);
  return withEntry(text, file, name, settings, readPulumiProject(root));
}

/** A project that is there and complete cannot be created. */
export function existsAlready(path: string, name: string): UserError {
  const remedy = `choose another name; \`project-vm resize ${name}\` changes it, \`project-vm destroy ${name}\` removes it`;
  return new UserError("Nothing was changed.", [{ path, rule: "is there already", remedy }]);
}

/**
 * Makes sure that a project is in the text of a stack's file.
 *
 * @throws UserError that names the stack that has it, if one of this checkout does
 */
export function requireProject(text: string, { name: stack, root, file }: StackPlace, name: string): void {
  const entries = entriesIn(text, { root, file });
  if (Object.hasOwn(entries, name)) return;
  const others = stacksWith(root, name).filter((other) => other !== stack);
  const known = Object.keys(entries).join(", ") || "none";
  const remedy =
    others.length > 0
      ? `it is in ${others.map((other) => `the stack ${other}: add \`--stack ${other}\``).join("; ")}`
      : `projects there: ${known}; a VM whose entry is gone goes with \`project-vm apply --stack ${stack}\``;
  throw new UserError("Nothing was changed.", [
    { path: formatPath(file, ["projects", name]), rule: "must be there", remedy },
  ]);
}

/**
 * The files of a checkout's stacks whose config has a project on a host: the disk there is that project's. They are read again
 * each time. One whose host or projects cannot be told may have it here.
 */
export function filesThatClaim(root: string, name: string, { uri, storageDir }: StorageHost): string[] {
  const isHere = (stack: string) => {
    try {
      const { settings } = loadStack(stack, root).host;
      return mayBeSameLibvirt(settings.uri, uri) && settings.storageDir === storageDir;
    } catch {
      return true;
    }
  };
  return stacksIn(root)
    .filter((stack) => (hasProject(root, stack, name) ?? true) && isHere(stack))
    .map((stack) => stackFileName(root, stack));
}

/** The stacks of a checkout that have a project, so far as they can be read. */
const stacksWith = (root: string, name: string) => stacksIn(root).filter((stack) => hasProject(root, stack, name));

/** undefined: its file cannot be read. */
function hasProject(root: string, stack: string, name: string): boolean | undefined {
  try {
    const file = stackFileName(root, stack);
    return Object.hasOwn(entriesIn(readStackText(root, file), { root, file }), name);
  } catch {
    return undefined;
  }
}
