import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The shell command that runs one of this package's entry programs from a Command resource. The path is relative to
 * the Pulumi program's folder, where its commands run, so that another checkout of the same program shows no diff. In this
 * checkout it goes through bin/entry.js: compiling sources at each start took a second of CPU for each step of each VM.
 * A step that is cancelled or takes too long has its shell killed, and no more: so the program takes the shell's place.
 *
 * @param entry the entry program, as a URL relative to the caller: `new URL("../src/steps/tear-down-vm.ts", import.meta.url)`
 * @example entryCommand(new URL("../src/steps/tear-down-vm.ts", import.meta.url)) // "exec node 'bin/entry.js' 'src/steps/tear-down-vm.ts'"
 */
export function entryCommand(entry: URL, programDir = process.cwd()): string {
  return `exec ${nodeCommand(entry, programDir)}`;
}

/**
 * The same for a program that has to clear up when it is cancelled: it stays a child of the shell, whose death it notices, and
 * the step has ended when it has. The program calls `endWithShell`.
 */
export function tidyingCommand(entry: URL, programDir = process.cwd()): string {
  // With a command after it, no shell gives its place to the program.
  return `PROJECT_VMS_SHELL=$$ ${nodeCommand(entry, programDir)}; exit $?`;
}

function nodeCommand(entry: URL, programDir: string): string {
  // Compiled, as another program's dependency, there is only the .js file beside the caller.
  const compiled = import.meta.url.endsWith(".js");
  const file = fileURLToPath(entry);
  if (compiled) return `node ${quoted(path.relative(programDir, file.replace(/\.ts$/, ".js")))}`;
  const root = fileURLToPath(new URL("..", import.meta.url));
  return `node ${quoted(path.relative(programDir, path.join(root, "bin/entry.js")))} ${quoted(path.relative(root, file))}`;
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
