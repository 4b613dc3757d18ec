import { existsSync } from "node:fs";
import path from "node:path";
import { closest } from "fastest-levenshtein";
import { parseStackConfig, type StackConfig } from "../config/parse.ts";
import { UserError } from "../core/errors.ts";
import { requireCheckout } from "./checkout-folder.ts";
import { makesFile, wasBegun } from "./first-stack-file.ts";
import { stackFileName } from "./pulumi-files.ts";
import { readStackFile } from "./read-stack-file.ts";
import { type ResolvedHost, resolveHost } from "./resolve.ts";
import { stacksIn } from "./stack-names.ts";

/** A stack of the Pulumi project that the user is in. */
export interface Stack {
  name: string;
  /** Absolute path of the folder with Pulumi.yaml. */
  root: string;
  /** The stack's file, as errors name it. @example "Pulumi.local.yaml" */
  file: string;
  config: StackConfig;
  host: ResolvedHost;
}

/**
 * Reads a stack's config from its file, without Pulumi and as Pulumi does. Secrets in it are not decrypted: those that no verb
 * needs are left out, any other is refused by its name.
 *
 * @param folder the project's folder, or one in it
 * @throws UserError when there is no project or no such stack, or the config has mistakes
 * @example loadStack("local", process.cwd()).config.projects
 */
export function loadStack(name: string, folder: string): Stack {
  const { root, file } = findStackFile(name, folder);
  const read = readStackFile(root, file);
  const config = parseStackConfig(read.values, file, { paths: read.secrets, stack: name });
  return { name, root, file, config, host: resolveHost(config, root) };
}

/**
 * Where a stack's file is. It is not read.
 *
 * @throws UserError when there is no project or no such stack
 */
export function findStackFile(name: string, folder: string): Pick<Stack, "root" | "file"> {
  const root = requireCheckout(folder);
  const file = stackFileName(root, name);
  if (!existsSync(path.join(root, file))) throw noStack(name, root, file);
  return { root, file };
}

function noStack(name: string, root: string, file: string): UserError {
  const there = stacksIn(root);
  const make = wasBegun(root, name)
    ? `where it was begun before, put its file back, from your own copy; else \`pulumi stack init ${name}\` makes one`
    : `\`${makesFile(root, name) ? "make up" : `pulumi stack init ${name}`}\` makes one`;
  const nearest = there.length > 0 ? `did you mean \`--stack ${closest(name, there)}\`? ` : "";
  return new UserError(`There is no stack ${name} here.`, [
    {
      path: path.join(root, file),
      rule: "must be there",
      remedy: `${nearest}(stacks: ${there.join(", ") || "none"}; ${make})`,
    },
  ]);
}
