import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Issue, UserError } from "../core/errors.ts";
import { readPulumiProject } from "./pulumi-files.ts";

/** The stack that verbs work on where none was ever named. */
export const firstStack = "local";

/** The nearest folder, from this one upwards, that has a Pulumi.yaml, if it is one to be trusted; undefined: there is none. */
export function checkoutOf(folder: string): string | undefined {
  const root = nearest(folder);
  return root !== undefined && distrust(root, folder) === undefined ? root : undefined;
}

/**
 * The same for whoever needs one. That of another user is refused: what its config names would be run as this user. git has
 * this rule: https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
 *
 * @throws UserError when there is none, or when any of its files is another user's
 */
export function requireCheckout(folder: string): string {
  const root = nearest(folder);
  if (root === undefined) {
    throw new UserError("There is no Pulumi project here.", [
      {
        path: folder,
        rule: "must have a Pulumi.yaml, or be in a folder that has one",
        remedy: "go to your checkout of Project VMs",
      },
    ]);
  }
  const issue = distrust(root, folder);
  if (issue === undefined) return root;
  throw new UserError("The Pulumi project here is not used.", [issue]);
}

function nearest(folder: string): string | undefined {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if (existsSync(path.join(at, "Pulumi.yaml"))) return at;
    if (at === path.dirname(at)) return undefined;
  }
}

/** Why a checkout is not to be used, if so: its files cannot be listed, or one of them is another user's. */
function distrust(root: string, folder: string): Issue | undefined {
  let entries: string[];
  try {
    entries = readdirSync(root);
  } catch (error) {
    const rule = `must be a folder that you may list (${(error as NodeJS.ErrnoException).code})`;
    return { path: root, rule, remedy: "go to your checkout of Project VMs" };
  }
  const file = strangersFile(root, entries, folder);
  if (file === undefined) return undefined;
  const rule = "must belong to you, to root, or to the owner of the folder that you are in";
  return {
    path: file,
    rule,
    remedy: "if it is meant to be used, make it yours: chown; else go to your checkout of Project VMs",
  };
}

/**
 * A file of a checkout that is another user's, or a link that is. Whose folder one stands in is trusted: in a container, a
 * checkout of the machine's user may well be another's.
 */
function strangersFile(root: string, entries: string[], folder: string): string | undefined {
  const { SUDO_UID } = process.env;
  const trusted = [0, process.getuid?.(), statSync(folder).uid, ...(SUDO_UID === undefined ? [] : [Number(SUDO_UID)])];
  const isStrangers = (file: string) =>
    [lstatSync, statSync].some((look) => {
      const found = look(file, { throwIfNoEntry: false });
      return found !== undefined && !trusted.includes(found.uid);
    });
  const ofRoot = entries.filter((entry) => entry === ".local" || isConfigFile(entry));
  // Pulumi.yaml is asked where the stacks' files are only once it is known whose it is.
  return ofRoot.map((entry) => path.join(root, entry)).find(isStrangers) ?? stackConfigDir(root).find(isStrangers);
}

const isConfigFile = (entry: string) => /^Pulumi\..*yaml$/.test(entry);

/** The folder that Pulumi.yaml has the stacks' files in, with those; nothing where that is the checkout itself. */
function stackConfigDir(root: string): string[] {
  try {
    const folder = path.join(root, readPulumiProject(root).stackConfigDir);
    if (path.relative(root, folder) === "") return [];
    const files = readdirSync(folder).filter(isConfigFile);
    return [folder, ...files.map((file) => path.join(folder, file))];
  } catch {
    return []; // whoever needs a file of it reports why it cannot be read
  }
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
