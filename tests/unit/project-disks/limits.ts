/**
 * A script of src/project-disks/ with other limits, in seconds, than those at its top: nobody waits for minutes in a test.
 *
 * @example withLimits(scriptText("frozen.sh"), { THAWED: 3 })
 */
export function withLimits(script: string, limits: Record<string, number>): string {
  return Object.entries(limits).reduce((text, [name, seconds]) => {
    const line = new RegExp(`^${name}=\\d+`, "m");
    if (!line.test(text)) throw new Error(`the script has no limit ${name}`);
    return text.replace(line, `${name}=${seconds}`);
  }, script);
}
