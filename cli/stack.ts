import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { closest } from "fastest-levenshtein";
import { parse } from "yaml";
import { UserError } from "../config/errors.ts";
import { parseStackConfig, type StackConfig } from "../config/parse.ts";
import { checkStackFile } from "../config/stack-file.ts";
import { requireCheckout } from "../daily/checkout-folder.ts";
import { type ResolvedHost, resolveHost } from "../host/resolve.ts";

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
 * Reads a stack's config from its file, without Pulumi. Secrets in it are left out: nothing here may know them.
 *
 * @param folder the project's folder, or one in it
 * @throws UserError when there is no project or no such stack, or the config has mistakes
 * @example loadStack("local", process.cwd()).config.projects
 */
export function loadStack(name: string, folder: string): Stack {
  const { root, file } = findStackFile(name, folder);
  const place = path.join(root, file);
  checkStackFile(place);
  const config = parseStackConfig(asPulumi(parse(readFileSync(place, "utf8"))?.config), file);
  return { name, root, file, config, host: resolveHost(config, root) };
}

/**
 * Where a stack's file is. It is not read.
 *
 * @throws UserError when there is no project or no such stack
 */
export function findStackFile(name: string, folder: string): Pick<Stack, "root" | "file"> {
  const root = requireCheckout(folder);
  const file = `Pulumi.${name}.yaml`;
  if (!existsSync(path.join(root, file))) throw noStack(name, root);
  return { root, file };
}

function noStack(name: string, root: string): UserError {
  const there = readdirSync(root).flatMap((entry) => /^Pulumi\.(.+)\.yaml$/.exec(entry)?.[1] ?? []);
  const make = `\`pulumi stack init ${name}\` makes one`;
  const nearest = there.length > 0 ? `did you mean \`--stack ${closest(name, there)}\`? ` : "";
  return new UserError(`There is no stack ${name} here.`, [
    {
      path: path.join(root, `Pulumi.${name}.yaml`),
      rule: "must be there",
      remedy: `${nearest}(stacks: ${there.join(", ") || "none"}; ${make})`,
    },
  ]);
}

/** The config as Pulumi hands it to a program: texts as they are, everything else as JSON. */
function asPulumi(config: unknown): Record<string, string> {
  const plain = (withoutSecrets(config) ?? {}) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(plain).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}

/** A secret stands in a stack's file as `{secure: …}`. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !isSecret(item)).map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => !isSecret(item));
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutSecrets(item)]));
}

const isSecret = (value: unknown) => typeof value === "object" && value !== null && "secure" in value;
