import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { UserError } from "../config/errors.ts";

/** The stack that verbs work on where none was ever named. */
const firstStack = "local";

/**
 * The nearest folder, from this one upwards, that has a Pulumi.yaml; undefined: there is none.
 *
 * @throws UserError for one of another user's: what its config names would be run as this user. git has the same rule:
 * https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
 */
export function checkoutOf(folder: string): string | undefined {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const file = path.join(at, "Pulumi.yaml");
    const owner = statSync(file, { throwIfNoEntry: false })?.uid;
    if (owner !== undefined) {
      requireTrusted(file, owner, folder);
      return at;
    }
    if (at === path.dirname(at)) return undefined;
  }
}

/** Whose folder one stands in is trusted: in a container, a checkout of the machine's user may well be another's. */
function requireTrusted(file: string, owner: number, folder: string): void {
  const { SUDO_UID } = process.env;
  const trusted = [0, process.getuid?.(), statSync(folder).uid, ...(SUDO_UID === undefined ? [] : [Number(SUDO_UID)])];
  if (trusted.includes(owner)) return;
  throw new UserError("The Pulumi project here is not used.", [
    {
      path: file,
      rule: "must belong to you, to root, or to the owner of the folder that you are in",
      value: `of user ${owner}`,
      remedy: "if it is meant to be used, make it yours: chown; else go to your checkout of Project VMs",
    },
  ]);
}

/** The stacks that a checkout has files for, in order. */
export function stacksIn(checkout: string): string[] {
  return readdirSync(checkout)
    .flatMap((entry) => /^Pulumi\.(.+)\.yaml$/.exec(entry)?.[1] ?? [])
    .sort();
}

/** The stack that verbs work on in a folder, as it was last set by {@link rememberStack}. */
export function rememberedStack(folder: string): string {
  const checkout = checkoutOf(folder);
  if (!checkout) return firstStack;
  try {
    return readFileSync(memoryOf(checkout), "utf8").trim() || firstStack;
  } catch {
    return firstStack; // nobody has chosen one
  }
}

/** Makes a stack the one that verbs work on in a checkout. */
export function rememberStack(checkout: string, stack: string): void {
  const file = memoryOf(checkout);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${stack}\n`);
}

const memoryOf = (checkout: string) => path.join(checkout, ".local", "stack");
