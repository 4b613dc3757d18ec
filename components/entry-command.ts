import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The shell command that runs one of this package's entry programs from a Command resource. The path is relative to
 * the Pulumi program's folder, where its commands run, so that another checkout of the same program shows no diff.
 *
 * @param entry the entry program, as a URL relative to the caller: `new URL("../guest/shut-down.ts", import.meta.url)`
 * @example entryCommand(new URL("../guest/shut-down.ts", import.meta.url)) // "node --import tsx/esm guest/shut-down.ts"
 */
export function entryCommand(entry: URL, programDir = process.cwd()): string {
  // Compiled, as another program's dependency, there is only the .js file beside the caller.
  const compiled = import.meta.url.endsWith(".js");
  const file = fileURLToPath(entry).replace(/\.ts$/, compiled ? ".js" : ".ts");
  const relative = path.relative(programDir, file);
  return `node ${compiled ? "" : "--import tsx/esm "}'${relative.replaceAll("'", `'\\''`)}'`;
}
