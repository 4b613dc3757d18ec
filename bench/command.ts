import { execa } from "../src/core/execa.ts";

/** Fires when the bench is interrupted: what runs then is ended. */
export const interruption = new AbortController();

/** How long one command may take, in milliseconds; a hung one shall not hang the bench for ever. */
const limit = 30 * 60_000;

const shownLines = 25;

/**
 * Runs a program and gives what it prints.
 *
 * @param env variables beside this process's own; undefined takes one away
 * @throws Error with the end of its output when it fails
 */
export async function command(
  program: string,
  args: string[],
  options: { cwd: string; env?: Record<string, string | undefined> },
): Promise<string> {
  const result = await execa(program, args, {
    ...options,
    stdin: "ignore",
    all: true,
    reject: false,
    timeout: limit,
    cancelSignal: interruption.signal,
  });
  if (result.failed) {
    const said = (result.all ?? "").trimEnd().split("\n").slice(-shownLines).join("\n");
    throw new Error(`${program} ${args.join(" ")}: ${result.shortMessage?.split("\n")[0]}\n${said}`);
  }
  return result.stdout;
}
