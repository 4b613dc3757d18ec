import path from "node:path";
import { type EngineConfig, readEngineConfig } from "./engine-config.ts";
import { readPulumiProject, readTextIfThere } from "./pulumi-files.ts";

/**
 * Reads the config in a stack's file as Pulumi does. A file that is not there says nothing.
 *
 * @param root absolute path of the folder with Pulumi.yaml
 * @param file from there
 * @throws UserError as {@link readEngineConfig}
 */
export function readStackFile(root: string, file: string): EngineConfig {
  return readEngineConfig(readTextIfThere(path.join(root, file)), readPulumiProject(root), file);
}

/**
 * Makes sure that Pulumi can read a stack's file, before it does: Pulumi names the line, but not the file, and where one key is
 * written twice, with its namespace and without, it takes one of them by chance. A file that is not there is no mistake.
 *
 * @param root absolute path of the folder with Pulumi.yaml
 * @param file from there
 * @throws UserError with file, line and column of every place that does not parse
 * @example checkStackFile("/home/me/vms", "Pulumi.local.yaml")
 */
export function checkStackFile(root: string, file: string): void {
  readStackFile(root, file);
}
