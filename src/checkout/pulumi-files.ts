import { readFileSync } from "node:fs";
import path from "node:path";
import { type PulumiProject, parsePulumiProject } from "../config/pulumi-project.ts";
import { UserError } from "../core/errors.ts";

/**
 * Reads Pulumi.yaml.
 *
 * @param root absolute path of its folder; where there is none, it is as one that says nothing
 * @throws UserError when it does not parse, or has a name that the engine does not take
 */
export function readPulumiProject(root: string): PulumiProject {
  return parsePulumiProject(readTextIfThere(path.join(root, "Pulumi.yaml")));
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

/** Whether there is nothing in a file, or as much as nothing: a power cut leaves NULs. */
export const isBlank = (text: string) => /^[\s\0]*$/.test(text);

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
