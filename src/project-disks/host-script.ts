import { readFileSync } from "node:fs";
import { type Issue, UserError } from "../core/errors.ts";
import { refusalIn } from "../core/script-refusal.ts";
import { shellWord } from "../core/shell-word.ts";
import { type RunOptions, type Shell, ShellError } from "../libvirt/shell.ts";

/** Where a script reads another of this folder that it hands on: on its host there is no such file. */
const companion = /\$\(cat "\$\{0%\/\*\}\/([\w-]+\.sh)"\)/g;

/**
 * Runs one of this folder's scripts on a host. Nothing of it stays there.
 *
 * @param refused the title of the error when the script refuses, or what makes that error
 * @param options `onLine` is given its progress
 * @throws UserError with what the script's `fail` says, ShellError for every other failure
 * @example await runScript(shell, "purge.sh", ["myapp", "/vms", "qemu:///system"], "Nothing was removed.")
 */
export async function runScript(
  shell: Shell,
  script: string,
  args: string[],
  refused: string | ((issue: Issue, exitCode: number | undefined) => UserError),
  { onLine, ...options }: RunOptions = {},
): Promise<string> {
  const progress = (line: string) => {
    if (!/^(error|remedy): /.test(line)) onLine?.(line);
  };
  try {
    return await shell.run(["sh", "-c", scriptText(script), script, ...args], { ...options, onLine: progress });
  } catch (error) {
    if (!(error instanceof ShellError)) throw error;
    const issue = refusalIn(error.stderr);
    if (!issue) throw error;
    throw typeof refused === "string" ? new UserError(refused, [issue]) : refused(issue, error.exitCode);
  }
}

/** The text of a script in this folder, with those in it that it hands on. */
export function scriptText(script: string): string {
  const text = readFileSync(new URL(script, import.meta.url), "utf8");
  return text.replace(companion, (_, name: string) => shellWord(scriptText(name)));
}
