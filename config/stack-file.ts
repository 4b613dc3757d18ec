import { readFileSync } from "node:fs";
import path from "node:path";
import { parseDocument } from "yaml";
import { UserError } from "./errors.ts";

/**
 * Makes sure that a stack's file is YAML, before Pulumi reads it: Pulumi names the line, but not the file.
 * A file that is not there is no mistake.
 *
 * @throws UserError with file, line and column of every place that does not parse
 * @example checkStackFile("/home/me/vms/Pulumi.local.yaml")
 */
export function checkStackFile(file: string): void {
  const name = path.basename(file);
  const issues = parseDocument(readIfThere(file)).errors.map(({ linePos, message }) => {
    const [place] = linePos ?? [{ line: 1, col: 1 }];
    return {
      path: `${name}: line ${place.line}, column ${place.col}`,
      rule: `must be YAML: ${message.split(" at line ")[0]}`,
      remedy: "mend that line; nothing of the file could be read",
    };
  });
  if (issues.length > 0) throw new UserError(`${name} does not parse.`, issues);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
