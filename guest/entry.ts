import { UserError } from "../config/errors.ts";
import { sayFailure } from "../host/say.ts";
import { hostUnreachable, isUnreachable } from "../host/unreachable.ts";
import { VirshError } from "../host/virsh.ts";
import { NotReadyError } from "./ready.ts";

/**
 * Runs an entry program of a command resource on what that told it; what its user can act on is shown without a stack trace,
 * and of a host that does not answer what to do about that.
 *
 * @param variable the environment variable that holds it, as JSON
 */
export async function runEntry<Request>(variable: string, main: (request: Request) => Promise<void>): Promise<void> {
  try {
    const text = process.env[variable];
    if (!text) throw new Error(`${variable} is not set: this program is run by a command resource`);
    await main(JSON.parse(text) as Request);
  } catch (caught) {
    const isAway = caught instanceof VirshError && isUnreachable(caught);
    const error = isAway ? hostUnreachable(caught.uri, caught.reason) : caught;
    const isBug = ![UserError, NotReadyError, VirshError].some((kind) => error instanceof kind);
    sayFailure(error, !isBug);
    process.exitCode = 1;
  }
}
