import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";

/**
 * Whether the guests of a checkout's embedded host are to reach the outside. All stacks of the checkout that have no host of
 * their own share it, so one of them that says `uplink: false` is enough. A file that cannot be read counts as one; a checkout
 * without any such stack has no use for it.
 */
export function wantsUplink(checkout: string): boolean {
  const settings = stackFiles(checkout).map(uplinkIn);
  return settings.includes(true) && !settings.includes(false);
}

function stackFiles(checkout: string): string[] {
  try {
    const files = readdirSync(checkout).filter((file) => /^Pulumi\..+\.yaml$/.test(file));
    return files.map((file) => path.join(checkout, file));
  } catch {
    return []; // it is gone
  }
}

/** undefined: the stack has a host of its own. */
function uplinkIn(file: string): boolean | undefined {
  try {
    const given = parse(readFileSync(file, "utf8"))?.config?.["project-vms:host"] ?? {};
    // `pulumi config set` writes JSON as a text.
    const host = typeof given === "string" ? JSON.parse(given) : given;
    if (typeof host !== "object" || host === null || "secure" in host) return false;
    return host.uri === undefined ? (host.uplink ?? true) === true : undefined;
  } catch {
    return false;
  }
}
