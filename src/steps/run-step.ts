import { runProgram } from "../core/run-program.ts";
import { hostUnreachable, isUnreachable } from "../libvirt/unreachable.ts";
import { VirshError } from "../libvirt/virsh-error.ts";

/**
 * Runs an entry program of a command resource on what that told it; of a host that does not answer it says what to do about that.
 *
 * @param variable the environment variable that holds it, as JSON
 */
export function runEntry<Request>(variable: string, main: (request: Request) => Promise<void>): Promise<void> {
  return runProgram(async () => {
    const text = process.env[variable];
    if (!text) throw new Error(`${variable} is not set: this program is run by a command resource`);
    await main(JSON.parse(text) as Request).catch((error: unknown) => {
      throw error instanceof VirshError && isUnreachable(error) ? hostUnreachable(error.uri, error.reason) : error;
    });
  });
}
