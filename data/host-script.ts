import { readFileSync } from "node:fs";
import { UserError } from "../config/errors.ts";
import { type RunOptions, type Shell, ShellError } from "../host/shell.ts";

/** What the scripts' `fail` prints: what is wrong, the rule, the remedy. */
const refusal = /^error: (.*?): (must .*)\nremedy: (.*)$/m;

/**
 * Runs one of this folder's scripts on a host. Nothing of it stays there.
 *
 * @param title of the error when the script refuses
 * @param options `onLine` is given its progress
 * @throws UserError with what the script's `fail` says, ShellError for every other failure
 * @example await runScript(shell, "purge.sh", ["myapp", "/vms", "qemu:///system"], "Nothing was removed.")
 */
export async function runScript(
  shell: Shell,
  script: string,
  args: string[],
  title: string,
  { onLine, ...options }: RunOptions = {},
): Promise<string> {
  const progress = (line: string) => {
    if (!/^(error|remedy): /.test(line)) onLine?.(line);
  };
  try {
    return await shell.run(["sh", "-c", scriptText(script), script, ...args], { ...options, onLine: progress });
  } catch (error) {
    const [, path, rule, remedy] = (error instanceof ShellError && refusal.exec(error.stderr)) || [];
    if (path === undefined || rule === undefined || remedy === undefined) throw error;
    throw new UserError(title, [{ path, rule, remedy }]);
  }
}

/** The text of a script in this folder. */
export function scriptText(script: string): string {
  return readFileSync(new URL(script, import.meta.url), "utf8");
}
