import type { Issue } from "./errors.ts";

/** What refusal.sh prints: what is wrong, the rule, the remedy. Only a line feed ends a line: the rest may be in a file's name. */
const refusal = /(?<=^|\n)error: ([^\n]*?): (must [^\n]*)\nremedy: ([^\n]*)/g;

/**
 * What a script of this folder has refused, by its standard error: the last that stands there, for a program that failed before
 * may have said what a stranger wrote. undefined: it failed otherwise.
 *
 * @param stderr null: it did not even start
 */
export function refusalIn(stderr: string | null): Issue | undefined {
  const [, path, rule, remedy] = [...(stderr ?? "").matchAll(refusal)].at(-1) ?? [];
  return path === undefined || rule === undefined || remedy === undefined ? undefined : { path, rule, remedy };
}
