import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The shell command that runs one of this package's entry programs from a Command resource. The path is relative to
 * the Pulumi program's folder, where its commands run, so that another checkout of the same program shows no diff. In this
 * checkout it goes through bin/entry.js: compiling sources at each start took a second of CPU for each step of each VM.
 *
 * @param entry the entry program, as a URL relative to the caller: `new URL("../guest/shut-down.ts", import.meta.url)`
 * @example entryCommand(new URL("../guest/shut-down.ts", import.meta.url)) // "node 'bin/entry.js' 'guest/shut-down.ts'"
 */
export function entryCommand(entry: URL, programDir = process.cwd()): string {
  // Compiled, as another program's dependency, there is only the .js file beside the caller.
  const compiled = import.meta.url.endsWith(".js");
  const file = fileURLToPath(entry);
  if (compiled) return `node ${quoted(path.relative(programDir, file.replace(/\.ts$/, ".js")))}`;
  const root = fileURLToPath(new URL("..", import.meta.url));
  return `node ${quoted(path.relative(programDir, path.join(root, "bin/entry.js")))} ${quoted(path.relative(root, file))}`;
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
