import type { Issue } from "../config/errors.ts";

/** What the scripts' `fail` prints: what is wrong, the rule, the remedy. */
const refusal = /^error: (.*?): (must .*)\nremedy: (.*)$/m;

/** What a script of this folder has refused, by its standard error; undefined: it failed otherwise. */
export function refusalIn(stderr: string): Issue | undefined {
  const [, path, rule, remedy] = refusal.exec(stderr) ?? [];
  return path === undefined || rule === undefined || remedy === undefined ? undefined : { path, rule, remedy };
}
