import { stackFileName } from "../checkout/pulumi-files.ts";
import { readStackFile } from "../checkout/read-stack-file.ts";
import { stacksIn } from "../checkout/stack-names.ts";
import { secretText } from "../config/engine-config.ts";
import { ownNamespace } from "../config/pulumi-project.ts";

/**
 * Whether the guests of a checkout's embedded host are to reach the outside. All stacks of the checkout that have no host of
 * their own share it, so one of them that says `uplink: false` is enough. A file that cannot be read counts as one; a checkout
 * without any such stack has no use for it.
 */
export function wantsUplink(checkout: string): boolean {
  const settings = stacksOf(checkout).map((stack) => uplinkIn(checkout, stack));
  return settings.includes(true) && !settings.includes(false);
}

function stacksOf(checkout: string): string[] {
  try {
    return stacksIn(checkout);
  } catch {
    return []; // it is gone
  }
}

/** undefined: the stack has a host of its own. */
function uplinkIn(checkout: string, stack: string): boolean | undefined {
  try {
    const given = readStackFile(checkout, stackFileName(checkout, stack)).values[`${ownNamespace}:host`] || {};
    if (given === secretText) return false;
    // `pulumi config set` writes JSON as a text.
    const host = typeof given === "string" ? JSON.parse(given) : given;
    if (typeof host !== "object" || host === null) return false;
    return host.uri === undefined ? (host.uplink ?? true) === true : undefined;
  } catch {
    return false;
  }
}
