import { existsSync } from "node:fs";
import path from "node:path";
import { type EngineConfig, readEngineConfig } from "../config/engine-config.ts";
import { formatPath, UserError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { isBlank, readPulumiProject, readTextIfThere } from "./pulumi-files.ts";

/**
 * Reads the config in a stack's file as Pulumi does. A file that is not there says nothing.
 *
 * @param root absolute path of the folder with Pulumi.yaml
 * @param file from there
 * @throws UserError as {@link readEngineConfig} and {@link readStackText}
 */
export function readStackFile(root: string, file: string): EngineConfig {
  return readEngineConfig(readStackText(root, file), readPulumiProject(root), file);
}

/**
 * Makes sure that Pulumi can read a stack's file, before it does: Pulumi names the line, but not the file, and where one key is
 * written twice, with its namespace and without, it takes one of them by chance. A file that is not there is no mistake.
 *
 * @param root absolute path of the folder with Pulumi.yaml
 * @param file from there
 * @throws UserError with file, line and column of every place that does not parse, and for a file that is empty
 * @example checkStackFile("/home/me/vms", "Pulumi.local.yaml")
 */
export function checkStackFile(root: string, file: string): void {
  readStackFile(root, file);
}

/**
 * The text of a stack's file; of one that is not there, an empty one.
 *
 * @throws UserError as {@link requireText}
 */
export function readStackText(root: string, file: string): string {
  const place = path.join(root, file);
  const text = readTextIfThere(place);
  return text === "" && !existsSync(place) ? text : requireText(text, file);
}

/**
 * Refuses the text of a stack's file that is empty: what was in it is not known, and as a config it would remove all VMs.
 *
 * @param file how the error names it
 * @returns the text
 * @throws UserError with how to put it back
 */
export function requireText(text: string, file: string): string {
  if (!isBlank(text)) return text;
  const why = "must not be empty: an engine that is killed while it writes the file leaves it so";
  throw nothingThere(`${file} is empty.`, file, `${why}, and an update would remove all VMs of the stack`);
}

/** What the engine notes in a stack's file by itself. */
export const notedByEngine = /^(?:encryptionsalt|encryptedkey|secretsprovider):.*$/gm;

/**
 * Whether a stack's file says nothing but what the engine notes there: it does so in a file that was emptied, or is not there, before it
 * starts the program, and leaves out comments and a `config:` that is empty.
 */
export function saysNothing(root: string, file: string): boolean {
  return isBlank(readTextIfThere(path.join(root, file)).replace(notedByEngine, ""));
}

/**
 * Refuses what would become of a file that {@link saysNothing}. A stack that was just begun has such a file, and no VMs.
 *
 * @param removed names of the projects whose VMs an update would remove; undefined: that is not known
 * @throws UserError with how to put the file back, unless there are none
 */
export function refuseRemovals(file: string, removed: string[] | undefined): void {
  if (removed?.length === 0) return;
  const why =
    "an engine that is killed while it writes the file leaves it empty, and the next one notes its salt there; an update would remove";
  const rule = removed
    ? `must have some while there are VMs: ${why} ${removed.join(", ")}`
    : `must have some, since it cannot be told here whether the stack has VMs: ${why} all of them`;
  throw nothingThere(`${file} has no config.`, file, rule);
}

/**
 * Refuses what would become of a stack whose key of the projects has nothing behind it: that is most likely an entry that was commented
 * out, or lines that lost their indentation.
 *
 * @param removed as with {@link refuseRemovals}
 * @throws UserError with what to write, unless there are none
 */
export function refuseUnsaidRemovals(file: string, removed: string[] | undefined): void {
  if (removed?.length === 0) return;
  const rule = removed
    ? `must not be left empty while there are VMs: an update would remove ${removed.join(", ")}`
    : "must not be left empty, since it cannot be told here whether the stack has VMs: an update would remove all of them";
  const remedy = `write the entries below it, one a line and indented, e.g. \`myapp: {}\`; to have no projects: \`project-vms:projects: {}\``;
  throw new UserError(`${file} names no projects. Nothing was changed.`, [
    { path: formatPath(file, ["projects"]), rule, remedy },
  ]);
}

function nothingThere(title: string, file: string, rule: string): UserError {
  const back = `put it back, from your own copy or, where git keeps it, by \`git checkout -- ${shellWord(file)}\``;
  const remedy = `${back}; a stack that is to have no projects says so in two lines: \`config:\` and, indented, \`project-vms:projects: {}\``;
  return new UserError(`${title} Nothing was changed.`, [{ path: file, rule, remedy }]);
}
