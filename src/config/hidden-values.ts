import type { z } from "zod";
import { formatPath, type Issue } from "../core/errors.ts";

type ZodIssue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** Values of a config that were not decrypted. */
export interface Secrets {
  /** Where they stand: the key with its namespace, then the way into its value. */
  paths: (string | number)[][];
  /** The stack whose config it is. */
  stack: string;
}

/** What verbs need only where Pulumi's engine runs, which decrypts it. */
const neededByEngineAlone = ["sshKeys", "headscaleApiKey"];

const namespace = "project-vms:";

/** What becomes of secrets where nothing decrypts them. Pure. */
export function hiddenValues({ paths, stack }: Secrets = { paths: [], stack: "" }) {
  const own = paths
    .filter(([key]) => String(key).startsWith(namespace))
    .map(([key, ...rest]) => [String(key).slice(namespace.length), ...rest]);
  const isUnneeded = ([key]: Path) => neededByEngineAlone.includes(String(key));
  const needed = own.filter((path) => !isUnneeded(path));
  return {
    /** Keys to be left out. */
    unneeded: own.filter(isUnneeded).map(([key]) => String(key)),
    /** The secrets that are needed as mistakes, and the issues that are not of them. What is of no use even as a secret stays one. */
    sort(issues: readonly ZodIssue[], file: string): [Issue[], ZodIssue[]] {
      const unknown = issues.flatMap((issue) =>
        issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [],
      );
      const known = needed.filter((path) => !unknown.some((one) => isWithin(path, one)));
      const isOfSecret = ({ code, path }: ZodIssue) =>
        code !== "unrecognized_keys" && known.some((secret) => isWithin(path, secret) || isWithin(secret, path));
      return [known.map((path) => secretIssue(path, stack, file)), issues.filter((issue) => !isOfSecret(issue))];
    },
  };
}

const isWithin = (path: Path, outer: Path) => outer.every((step, i) => path[i] === step);

function secretIssue(path: (string | number)[], stack: string, file: string): Issue {
  const [key = "", ...rest] = path;
  const way = rest
    .map((step) => (/^[a-z]\w*$/i.test(String(step)) ? `.${step}` : `[${JSON.stringify(step)}]`))
    .join("");
  return {
    path: formatPath(file, path),
    rule: "is a secret, which project-vm does not decrypt",
    remedy:
      `write it in the clear: pulumi config set --plaintext --path '${namespace}${key}${way}' <value> --stack ${stack}; ` +
      `pulumi preview, pulumi up and make up can do with the secret`,
  };
}
